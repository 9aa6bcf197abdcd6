-- The history of the devices in buckets (JSON of wire::telemetry::HistoryBucket). Old ones are deleted as new ones are added.
CREATE TABLE telemetry (
    device TEXT NOT NULL,
    bucket_secs INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (device, bucket_secs, at_ms)
) STRICT, WITHOUT ROWID;
