-- The number of writing transactions so far, in one row. It orders what is read of a run, whoever reads it.
CREATE TABLE revision (number INTEGER NOT NULL) STRICT;
INSERT INTO revision (number) VALUES (0);
