-- The label of a finding's rule, so that titles of alerts name it as pages do. Findings that are stored get it by the id of their rule; the label
-- of a rule that is not listed is its id in words.
ALTER TABLE findings ADD COLUMN label TEXT NOT NULL DEFAULT '';
UPDATE findings SET label = CASE rule
    WHEN 'attention_logits' THEN 'Large attention scores'
    WHEN 'clipping_always' THEN 'Clipping at nearly every step'
    WHEN 'dead_parameter' THEN 'Parameter without gradient'
    WHEN 'epochs' THEN 'Repeated data'
    WHEN 'floor_passed' THEN 'Below the entropy floor'
    WHEN 'gradient_explosion' THEN 'Exploding gradient'
    WHEN 'learning_rate_high' THEN 'Learning rate too high'
    WHEN 'learning_rate_low' THEN 'Learning rate too low'
    WHEN 'noisy_loss' THEN 'Batch too small'
    WHEN 'non_finite' THEN 'Non-finite value'
    WHEN 'unigram_baseline' THEN 'No better than single tokens'
    WHEN 'update_ratio' THEN 'Update-to-weight ratio'
    WHEN 'validation_leak' THEN 'Validation below training'
    ELSE UPPER(SUBSTR(rule, 1, 1)) || REPLACE(SUBSTR(rule, 2), '_', ' ')
END;
