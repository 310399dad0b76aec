//! Removes an item from a list, with its comments.

use super::{EditError, Editor};
use crate::yaml::tree::{NodeId, line_start};

impl Editor<'_> {
    /// Removes an item from a list: its lines, and the comments that are indented deeper than its dash. Removing the
    /// last one leaves an empty list.
    ///
    /// # Errors
    /// The item shares a line with something else.
    pub fn take_out(&mut self, list: NodeId, item: NodeId) -> Result<(), EditError> {
        let items: Vec<NodeId> = self.tree.children(list).collect();
        let Some(at) = items.iter().position(|one| *one == item) else { return Err(EditError::Unverified) };
        self.patch(item..self.tree.after(item), Vec::new());
        if self.is_flow(list) {
            let range = match (at.checked_sub(1), items.get(at + 1)) {
                (_, Some(next)) => self.tree.range(item).start..self.tree.range(*next).start,
                (Some(before), None) => self.tree.range(items[before]).end..self.tree.range(item).end,
                (None, None) => self.tree.range(item),
            };
            self.change(range, "");
            return Ok(());
        }
        let start = self.dash_line(item).ok_or(EditError::Unverified)?;
        let column = self.text[start..].len() - self.text[start..].trim_start_matches(' ').len();
        let end = self.below(self.tree.range(item).end, column);
        // A block list without items would be nothing at all; in brackets it is still a list.
        let empty = format!("{}[]{}", " ".repeat(column.max(1)), self.line_end);
        self.change(start..end, if items.len() == 1 { empty } else { String::new() });
        Ok(())
    }

    /// Returns the start of the line of an item's dash, if nothing precedes the dash on it.
    fn dash_line(&self, item: NodeId) -> Option<usize> {
        let start = self.tree.range(item).start;
        let line = line_start(self.text, start);
        let margin = self.text[line..start].trim_start_matches('\u{feff}');
        let is_alone = margin.trim_start_matches(' ').strip_prefix('-').is_some_and(|rest| rest.trim().is_empty());
        is_alone.then_some(line)
    }
}
