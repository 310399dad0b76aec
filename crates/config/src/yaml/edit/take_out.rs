//! Taking an item out of a list, with what belongs to it.

use super::{EditError, Editor};
use crate::yaml::tree::{NodeId, line_start};

impl Editor<'_> {
    /// Takes an item out of a list: its lines, and the comments that stand deeper than its dash. The last one leaves an
    /// empty list.
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
        // Without items a list in lines is nothing at all; in brackets it is still one.
        let empty = format!("{}[]{}", " ".repeat(column.max(1)), self.line_end);
        self.change(start..end, if items.len() == 1 { empty } else { String::new() });
        Ok(())
    }

    /// The beginning of the line with the dash of an item that stands alone before it.
    fn dash_line(&self, item: NodeId) -> Option<usize> {
        let start = self.tree.range(item).start;
        let line = line_start(self.text, start);
        let margin = self.text[line..start].trim_start_matches('\u{feff}');
        let is_alone = margin.trim_start_matches(' ').strip_prefix('-').is_some_and(|rest| rest.trim().is_empty());
        is_alone.then_some(line)
    }
}
