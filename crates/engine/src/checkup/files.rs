//! The person's own files, as an engine would read them: `tasks.yml`, and what projects say of themselves. What is wrong
//! there is only reported.

use super::finding::{Finding, Patient, Verdict};
use crate::files::file_job::{LARGEST, remedy_of};
use crate::settings::project_file;
use orch_core::base::ids::TaskId;
use orch_store::journal::{Glance, Project};
use orch_store::tasks_file::{Problem, TasksDoc};
use orch_sys::fs;

/// What is called so that is said of `tasks.yml`.
const TASKS: &str = "tasks.yml";

/// Checks that `tasks.yml` reads and still holds its entries. A file that never existed makes no finding.
pub(super) fn tasks(patient: &Patient<'_>, known: Option<&Glance>) -> Option<Finding> {
    let path = patient.home.tasks_file();
    let shown = path.display();
    let bad = |detail: String, remedy: String| Some(Finding::new(TASKS, Verdict::Bad, detail).remedy(remedy));
    if let Some(target) = fs::dangling_link(&path) {
        let detail = format!("{shown} is a link to {}, where there is no file", target.display());
        return bad(detail, "put the file there, or point the link to it".to_owned());
    }
    let text = match fs::read_text(&path, LARGEST) {
        Ok(text) => Some(text),
        Err(error) if error.is_not_found() => None,
        Err(error) => return bad(error.to_string(), remedy_of(&path, &error)),
    };
    let were = known.map_or(0, |known| known.tasks.values().filter(|task| task.file.is_written()).count());
    let is_there = text.is_some();
    let is_known = |id: TaskId| known.is_none_or(|known| known.tasks.contains_key(&id));
    match TasksDoc::parse(text.unwrap_or_default(), &is_known) {
        Err(problems) => bad(
            format!("{shown} does not read: {}", join(&problems)),
            format!("mend it in an editor; until then what {shown} held before counts on"),
        ),
        Ok(doc) if doc.is_empty() && were > 0 => bad(
            format!("{shown} is empty or gone, but {were} tasks were in it"),
            "restore it, or orch task missing --restore, which writes the open ones again; if it is meant, orch task missing \
             --cancel"
                .to_owned(),
        ),
        Ok(_) if !is_there => None,
        Ok(doc) if doc.problems().is_empty() => Some(Finding::new(TASKS, Verdict::Ok, format!("{shown} reads"))),
        Ok(doc) => {
            let detail = format!("{shown}: {}", join(doc.problems()));
            Some(Finding::new(TASKS, Verdict::Warning, detail).remedy("mend the entry in an editor"))
        }
    }
}

/// Returns the first one, and how many there are beside it.
fn join(problems: &[Problem]) -> String {
    match problems {
        [] => String::new(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
    }
}

/// Returns what the registered repositories have in their own files: mistakes, and what is not approved.
pub(super) fn projects(patient: &Patient<'_>, known: &Glance) -> Vec<Finding> {
    known.projects.iter().flat_map(|project| of_project(patient, project)).collect()
}

fn of_project(patient: &Patient<'_>, project: &Project) -> Vec<Finding> {
    let name = format!("project {}", project.name);
    let check = format!("in {}: orch config validate", project.dir.display());
    let finding = |verdict, problem: &str| Finding::of_problem(&name, verdict, problem, &check);
    if !project.dir.is_dir() {
        let detail = format!("{} is not there any more", project.dir.display());
        let remedy = format!("put it back, or orch project remove {} (orch init registers it elsewhere)", project.name);
        return vec![Finding::new(&name, Verdict::Bad, detail).remedy(&remedy)];
    }
    match patient.sources.examine(project) {
        Ok(None) => Vec::new(),
        Ok(Some(warnings)) if warnings.is_empty() => {
            let detail = format!("{} is valid", project_file(&project.dir).display());
            vec![Finding::new(&name, Verdict::Ok, detail)]
        }
        Ok(Some(warnings)) => warnings.iter().map(|warning| finding(Verdict::Warning, &warning.to_string())).collect(),
        Err(problems) => problems.iter().map(|problem| finding(Verdict::Bad, problem)).collect(),
    }
}
