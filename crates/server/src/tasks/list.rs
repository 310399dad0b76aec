//! The list of all tasks, however many there are: it leaves page by page, and no more than a page of it is in memory.

use super::super::ApiState;
use super::super::error::ApiError;
use super::task_view;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::stream;
use orch_core::base::ids::TaskId;
use orch_core::economics::track_record::Worker;
use orch_core::planning::plan::Occupancy;
use orch_core::tasks::task::Task;
use orch_engine::handle::{EngineError, EngineHandle, View};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Lists all tasks.
///
/// # Errors
/// The journal cannot be read. Where that happens in the middle of the list, it breaks off.
pub async fn list(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let view = state.engine.snapshot().await?;
    let mut children = state.engine.settled_families().await?;
    for task in view.tasks.values() {
        if let Some(parent) = task.spec.parent {
            children.entry(parent).or_default().push(task.id);
        }
    }
    for of_one in children.values_mut() {
        of_one.sort_unstable();
        of_one.dedup();
    }
    let first = state.engine.tasks_after(TaskId(0)).await?;
    let pages = Pages { engine: state.engine, view, children, after: TaskId(0), next: Some(first), is_first: true };
    let body = Body::from_stream(stream::try_unfold(Some(pages), Pages::step));
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

struct Pages {
    engine: EngineHandle,
    view: View,
    children: BTreeMap<TaskId, Vec<TaskId>>,
    /// The last task of the page before.
    after: TaskId,
    /// The page that is to leave now; `None`: it is to be read.
    next: Option<(Vec<Task>, bool)>,
    is_first: bool,
}

impl Pages {
    /// The next part of the document, and what follows it.
    async fn step(pages: Option<Self>) -> Result<Option<(Bytes, Option<Self>)>, EngineError> {
        let Some(mut pages) = pages else { return Ok(None) };
        let (page, is_last) = match pages.next.take() {
            Some(page) => page,
            None => pages.engine.tasks_after(pages.after).await?,
        };
        let tasks = pages.tasks(page, is_last);
        let workers = pages.engine.last_workers(tasks.keys().copied().collect()).await?;
        let chunk = pages.chunk(&tasks, workers, is_last);
        Ok(Some((chunk, (!is_last).then_some(pages))))
    }

    /// The tasks of a page, and those in memory between them.
    fn tasks(&mut self, page: Vec<Task>, is_last: bool) -> BTreeMap<TaskId, Arc<Task>> {
        let until = page.last().map(|task| task.id).filter(|_| !is_last);
        let range = (Bound::Excluded(self.after), until.map_or(Bound::Unbounded, Bound::Included));
        self.after = until.unwrap_or(self.after);
        let stored = page.into_iter().map(|task| (task.id, Arc::new(task)));
        // What is in memory is newer.
        let at_hand = self.view.tasks.range(range).map(|(id, task)| (*id, Arc::clone(task)));
        stored.chain(at_hand).collect()
    }

    fn chunk(
        &mut self,
        tasks: &BTreeMap<TaskId, Arc<Task>>,
        mut workers: BTreeMap<TaskId, Worker>,
        is_last: bool,
    ) -> Bytes {
        let slots: Occupancy<'_> = super::occupancy(&self.view);
        let mut chunk = Vec::new();
        for task in tasks.values() {
            chunk.push(if std::mem::take(&mut self.is_first) { b'[' } else { b',' });
            let children = self.children.remove(&task.id).unwrap_or_default();
            let view = task_view(&self.view, task, children, workers.remove(&task.id), &slots);
            // A view has no keys and no values that JSON could not have.
            if let Err(error) = serde_json::to_writer(&mut chunk, &view) {
                tracing::error!(task = %task.id, %error, "a task cannot be shown");
            }
        }
        if is_last {
            if std::mem::take(&mut self.is_first) {
                chunk.push(b'[');
            }
            chunk.push(b']');
        }
        Bytes::from(chunk)
    }
}
