-- Alerts, the channels by which people are told, and the messages to them. `source` names what an alert is about, so that it is raised once.
-- `content` is JSON of wire::alert::AlertContent. No foreign key: alerts of deleted runs are deleted with age.
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL UNIQUE,
    at_ms INTEGER NOT NULL,
    run TEXT,
    content TEXT NOT NULL,
    is_routed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX unrouted_alerts ON alerts (id) WHERE is_routed = 0;

-- `channel` is JSON of wire::alert::Channel, with the secrets of its target. A channel without a person belongs to the lab.
CREATE TABLE alert_channels (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    person INTEGER REFERENCES people (id) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

-- The outbox: a message is written before it is sent. `delivery` is the id that the receiver gets; `tried_ms` the time of the first attempt.
CREATE TABLE alert_deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery TEXT NOT NULL UNIQUE,
    channel INTEGER NOT NULL REFERENCES alert_channels (id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    tried_ms INTEGER,
    answer TEXT
) STRICT;
CREATE INDEX due_deliveries ON alert_deliveries (due_ms) WHERE state = 'waiting';
CREATE INDEX deliveries_of_channel ON alert_deliveries (channel, id);

CREATE TABLE delivered_alerts (
    delivery INTEGER NOT NULL REFERENCES alert_deliveries (id) ON DELETE CASCADE,
    alert INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    PRIMARY KEY (delivery, alert)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_of_alert ON delivered_alerts (alert);
