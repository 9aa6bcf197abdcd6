-- What the research journal says of a conversation: the model that answered last, NULL where none did, and the number of its calls of tools.
ALTER TABLE conversations ADD COLUMN model TEXT;
ALTER TABLE conversations ADD COLUMN tool_calls INTEGER NOT NULL DEFAULT 0;
UPDATE conversations SET tool_calls = (SELECT COALESCE(SUM(json_array_length(entry, '$.calls')), 0) FROM conversation_entries
    WHERE conversation = conversations.id);
