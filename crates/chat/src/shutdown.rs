//! Shuts a channel down: completes requests of people, sends what is queued, and ends by a fixed deadline, whatever the
//! service does. Knows no service.

use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Deadline of the shutdown: a little less than the daemon waits for all channels together.
const DEADLINE: Duration = Duration::from_millis(1_900);
/// The part of it reserved for requests in progress; the rest is for queued messages.
const ORDERS: Duration = Duration::from_secs(1);

/// Waits for requests in progress, sends what is left in the queues, and aborts queues that are not done by the deadline.
pub async fn shut_down(orders: &TaskTracker, closing: &CancellationToken, queues: JoinSet<()>) {
    shut_down_within(orders, closing, queues, ORDERS, DEADLINE).await;
}

async fn shut_down_within(
    orders: &TaskTracker,
    closing: &CancellationToken,
    mut queues: JoinSet<()>,
    for_orders: Duration,
    for_all: Duration,
) {
    let started = Instant::now();
    orders.close();
    timeout_at(started + for_orders, orders.wait()).await.ok();
    closing.cancel();
    timeout_at(started + for_all, async { while queues.join_next().await.is_some() {} }).await.ok();
    queues.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn requests_and_messages_that_hang_are_abandoned() {
        let (orders, closing, mut queues) = (TaskTracker::new(), CancellationToken::new(), JoinSet::new());
        orders.spawn(std::future::pending::<()>());
        let (ended, end) = oneshot::channel::<()>();
        queues.spawn(async move {
            let _held = ended;
            std::future::pending().await
        });
        shut_down_within(&orders, &closing, queues, Duration::from_millis(5), Duration::from_millis(10)).await;
        assert!(end.await.is_err() && closing.is_cancelled(), "the queue was aborted");
    }

    #[tokio::test]
    async fn messages_of_a_request_are_sent_and_nothing_is_waited_for_after_it() {
        let (orders, closing, mut queues) = (TaskTracker::new(), CancellationToken::new(), JoinSet::new());
        let ((done, word), (said, heard)) = (oneshot::channel(), oneshot::channel());
        let closes = closing.clone();
        orders.spawn(async move {
            tokio::task::yield_now().await;
            done.send(closes.is_cancelled()).ok();
        });
        let closes = closing.clone();
        queues.spawn(async move {
            closes.cancelled().await;
            said.send(word.await).ok();
        });
        shut_down_within(&orders, &closing, queues, LONG, LONG).await;
        assert_eq!(heard.await, Ok(Ok(false)), "the request was done before the queue was told to close");
    }
}
