//! Figures for Prometheus, in its text format 0.0.4. Written here: the format is three kinds of lines, and the crates
//! for it bring registries of their own for what the engine counts already.

use super::ApiState;
use super::error::ApiError;
use super::status::counts;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use orch_core::planning::breaker::StateName;
use orch_core::tasks::task::Status;
use orch_engine::{BOUNDS, Figures, Histogram};
use std::fmt::{Arguments, Display, Write};

/// The media type of the format.
const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers with all metrics.
pub async fn metrics(State(state): State<ApiState>) -> Result<impl IntoResponse, ApiError> {
    let view = state.engine.snapshot().await?;
    let tasks = counts(&state, &view).await?;
    let mut page = Page::default();
    page.family("orch_tasks", "gauge", "Tasks by status.");
    for status in Status::ALL {
        page.sample("orch_tasks", &[("status", status.as_str())], tasks.get(&status).unwrap_or(&0));
    }
    page.one("orch_runs_live", "gauge", "Runs that have not ended.", view.live_runs.len());
    page.family("orch_breakers", "gauge", "Circuit breakers that have seen failures, by state.");
    for of in [StateName::Closed, StateName::HalfOpen, StateName::Open] {
        let count = view.breakers.iter().filter(|breaker| breaker.state_name() == of).count();
        page.sample("orch_breakers", &[("state", of.as_str())], count);
    }
    page.write_engine(&state.engine.figures());
    page.one("orch_followed_runs", "gauge", "Runs whose output is followed.", state.engine.followed());
    page.family("orch_feed_readers", "gauge", "Readers of server-sent events, by feed.");
    for (feed, count) in state.readers.count() {
        page.sample("orch_feed_readers", &[("feed", feed)], count);
    }
    page.family("orch_info", "gauge", "The version that runs.");
    page.sample("orch_info", &[("version", state.process.version.as_str())], 1);
    let started = state.process.started.as_second();
    page.one("process_start_time_seconds", "gauge", "When the daemon was started, in Unix time.", started);
    if let Some(bytes) = (state.process.memory)() {
        page.one("process_resident_memory_bytes", "gauge", "Memory of the daemon that is in use.", bytes);
    }
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], page.0))
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: Arguments<'_>) {
        // Writing to a string cannot fail.
        writeln!(self.0, "{line}").ok();
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.line(format_args!("{name}{labels} {value}"));
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn write_engine(&mut self, figures: &Figures) {
        self.family("orch_run_starts_total", "counter", "Runs begun by this daemon.");
        for (kind, count) in &figures.starts {
            self.sample("orch_run_starts_total", &[("kind", kind)], count);
        }
        self.family("orch_run_ends_total", "counter", "Runs that ended, by outcome or class of failure.");
        for ((kind, outcome), count) in &figures.ends {
            self.sample("orch_run_ends_total", &[("kind", kind), ("outcome", outcome)], count);
        }
        self.histogram("orch_loop_turn_seconds", "Time of a turn of the engine's loop.", &figures.turns);
        self.histogram("orch_journal_commit_seconds", "Time to write a turn to the journal.", &figures.commits);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        let mut so_far = 0;
        for (bound, count) in BOUNDS.iter().zip(histogram.buckets) {
            so_far += count;
            self.sample(&bucket, &[("le", &bound.to_string())], so_far);
        }
        self.sample(&bucket, &[("le", "+Inf")], histogram.count);
        self.sample(&format!("{name}_sum"), &[], histogram.sum);
        self.sample(&format!("{name}_count"), &[], histogram.count);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let mut page = Page::default();
        page.family("orch_tasks", "gauge", "Tasks by status.");
        page.sample("orch_tasks", &[("status", "a\"b\\c\nd")], 3);
        let histogram = Histogram { buckets: [1, 0, 2, 0, 0, 0, 0, 0, 0, 0], count: 4, sum: 2.5 };
        page.histogram("t", "Time.", &histogram);
        let expected = "# HELP orch_tasks Tasks by status.\n# TYPE orch_tasks gauge\n\
                        orch_tasks{status=\"a\\\"b\\\\c\\nd\"} 3\n# HELP t Time.\n# TYPE t histogram\n\
                        t_bucket{le=\"0.0005\"} 1\nt_bucket{le=\"0.001\"} 1\nt_bucket{le=\"0.0025\"} 3\n";
        assert!(page.0.starts_with(expected), "{}", page.0);
        assert!(
            page.0.ends_with("t_bucket{le=\"2\"} 3\nt_bucket{le=\"+Inf\"} 4\nt_sum 2.5\nt_count 4\n"),
            "{}",
            page.0
        );
    }
}
