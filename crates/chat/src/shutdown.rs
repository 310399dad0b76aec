//! How a channel goes: what people ordered is brought to its end, what is to be said of it is said, and all of it is over
//! by one moment, whatever the service does. Knows no service.

use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a channel takes to go at most: a little less than the daemon waits for all of them at once.
const FAREWELL: Duration = Duration::from_millis(1_900);
/// The part of it in which orders that are under way are waited for: the rest is for what is to be said.
const ORDERS: Duration = Duration::from_secs(1);

/// Waits for the orders that are under way, sends what is left in the queues, and ends those that are not done by then.
/// A request that hangs is not waited for.
pub async fn part(orders: &TaskTracker, closing: &CancellationToken, queues: JoinSet<()>) {
    part_within(orders, closing, queues, (ORDERS, FAREWELL)).await;
}

async fn part_within(
    orders: &TaskTracker,
    closing: &CancellationToken,
    mut queues: JoinSet<()>,
    (for_orders, for_all): (Duration, Duration),
) {
    let begun = Instant::now();
    orders.close();
    timeout_at(begun + for_orders, orders.wait()).await.ok();
    closing.cancel();
    timeout_at(begun + for_all, async { while queues.join_next().await.is_some() {} }).await.ok();
    queues.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn orders_and_words_that_hang_are_left() {
        let (orders, closing, mut queues) = (TaskTracker::new(), CancellationToken::new(), JoinSet::new());
        orders.spawn(std::future::pending::<()>());
        let (ended, end) = oneshot::channel::<()>();
        queues.spawn(async move {
            let _held = ended;
            std::future::pending().await
        });
        part_within(&orders, &closing, queues, (Duration::from_millis(5), Duration::from_millis(10))).await;
        assert!(end.await.is_err() && closing.is_cancelled(), "the desk was ended");
    }

    #[tokio::test]
    async fn what_an_order_brings_about_is_said_and_nothing_is_waited_for_after_it() {
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
        part_within(&orders, &closing, queues, (LONG, LONG)).await;
        assert_eq!(heard.await, Ok(Ok(false)), "the order was done before the desk was told to close");
    }
}
