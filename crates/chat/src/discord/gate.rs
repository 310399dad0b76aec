//! Limits all requests to Discord together. PURE: the time is an argument. In addition to the limits of single routes,
//! Discord limits a bot as a whole, and bans an IP address after 10,000 refused requests in ten minutes. This gate stays
//! far below that, whatever the reason of the refusals.

use std::collections::VecDeque;
use std::time::Duration;

/// Maximum number of refused requests within [`SPAN`]: a fiftieth of what Discord bans for.
const MOST_REFUSED: usize = 200;
/// Span in which Discord counts refused requests.
const SPAN: Duration = Duration::from_secs(600);
/// Longest pause that is accepted from Discord.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Decides when requests may be sent.
#[derive(Debug, Default)]
pub(super) struct Gate {
    opens: Duration,
    refused: VecDeque<Duration>,
}

impl Gate {
    /// Returns how long to wait before the next request; zero: send it.
    pub(super) fn wait(&mut self, now: Duration) -> Duration {
        while self.refused.front().is_some_and(|at| *at + SPAN <= now) {
            self.refused.pop_front();
        }
        let is_spent = self.refused.len() >= MOST_REFUSED;
        let of_budget = self.refused.front().filter(|_| is_spent).map_or(Duration::ZERO, |at| *at + SPAN);
        self.opens.max(of_budget).saturating_sub(now)
    }

    /// Records a request that was refused with a status that Discord counts.
    pub(super) fn refused(&mut self, now: Duration) {
        self.refused.push_back(now);
    }

    /// Blocks all requests for this long, as Discord asks.
    pub(super) fn close(&mut self, now: Duration, pause: Duration) {
        self.opens = self.opens.max(now + pause.min(LONGEST_PAUSE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_is_asked_while_discord_wants_to_be_left_alone() {
        let mut gate = Gate::default();
        assert_eq!(gate.wait(at(0)), Duration::ZERO);
        gate.close(at(10), at(60));
        gate.close(at(11), at(5));
        assert_eq!(gate.wait(at(30)), at(40), "the longer one holds");
        assert_eq!(gate.wait(at(70)), Duration::ZERO);
        gate.close(at(70), Duration::MAX);
        assert_eq!(gate.wait(at(70)), LONGEST_PAUSE, "no service is silent for ever");
    }

    #[test]
    fn what_discord_counts_as_refused_never_comes_near_its_ban() {
        let (mut gate, mut asked) = (Gate::default(), 0_usize);
        for second in 0..3_600 {
            for _ in 0..50 {
                if gate.wait(at(second)).is_zero() {
                    asked += 1;
                    gate.refused(at(second));
                }
            }
        }
        assert_eq!(asked, 6 * MOST_REFUSED, "in each span of ten minutes the budget, and no more");
    }
}
