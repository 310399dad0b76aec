//! Who did what a line of the history records: a column since version 15.

/// The step of the migrations that makes the column. Lines of before have no actor: their kind told it. The sum of a line covers
/// the actor from now on; a line that was not whole before keeps a sum that does not fit.
pub(super) const CREATE: &str = "
    ALTER TABLE events ADD COLUMN actor TEXT NOT NULL DEFAULT 'orch';
    UPDATE events SET actor = 'person' WHERE kind IN (
        'approved', 'batch_cancelled', 'batch_changed', 'batch_created', 'cancel_asked', 'claimed', 'conversation_left',
        'goes_on', 'interrupt_asked', 'job_added', 'job_changed', 'job_removed', 'merge_asked', 'message_sent',
        'model_asked', 'model_reset', 'model_set', 'pattern_recorded', 'paused', 'project_registered', 'project_removed',
        'rejected', 'resumed', 'retry_asked', 'revert_asked', 'run_asked', 'spending_recorded', 'task_added',
        'task_edited', 'task_removed', 'task_returned', 'unblock_asked', 'unclaimed'
    );
    UPDATE events SET actor = CASE WHEN run_id IS NULL THEN 'agent' ELSE 'agent ' || run_id END
        WHERE kind IN ('handed_on', 'reviewed', 'run_ended');
    UPDATE events SET sum = row_sum(seq, at, task_id, run_id, kind, text, actor)
        WHERE sum = row_sum(seq, at, task_id, run_id, kind, text);
";
