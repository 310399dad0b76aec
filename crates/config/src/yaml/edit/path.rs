//! Sets one value by its path, as `config set` does.

use super::{EditError, Editor, edit};
use crate::yaml::{Kind, Tree};
use serde_json::{Map, Value};

/// Sets the value at a path of keys (and, within lists, of indices counted from 0), creating missing parents. Every
/// byte outside of the changed value stays.
///
/// # Errors
/// The text is no YAML; a parent is no mapping; the change would not read back as intended.
pub fn set_path(text: &str, path: &[&str], value: &Value) -> Result<String, EditError> {
    let (tree, _) = Tree::parse(text)?;
    Ok(edit(text, &tree, |editor| editor.set_path(path, value))?.text)
}

impl Editor<'_> {
    fn set_path(&mut self, path: &[&str], value: &Value) -> Result<(), EditError> {
        let Some(mut node) = self.tree.root().filter(|root| !self.tree.is_null(*root)) else {
            self.write_root(&nested(path, value));
            return Ok(());
        };
        let mut key = None;
        for (depth, name) in path.iter().enumerate() {
            let rest = &path[depth..];
            match self.tree.kind(node) {
                Kind::Mapping { .. } => match self.tree.pair(node, name) {
                    Some((next_key, next)) => (key, node) = (Some(next_key), next),
                    None => return self.put(node, &[((*name).to_owned(), nested(&rest[1..], value))], &[]),
                },
                Kind::Sequence { .. } => {
                    let item = name.parse().ok().and_then(|index| self.tree.children(node).nth(index));
                    let Some(item) = item else { return Err(self.unsuitable(node, "an item with that index")) };
                    (key, node) = (None, item);
                }
                Kind::Plain if self.tree.is_null(node) => {
                    let Some(key) = key else { return Err(self.unsuitable(node, "a mapping")) };
                    let in_flow = self.is_inside_flow(node);
                    self.fill(key, node, &nested(rest, value), in_flow);
                    return Ok(());
                }
                Kind::Plain | Kind::Single | Kind::Double | Kind::Block | Kind::Alias | Kind::End => {
                    return Err(self.unsuitable(node, "a mapping"));
                }
            }
        }
        let in_flow = self.is_inside_flow(node);
        self.set(key, node, value, in_flow);
        Ok(())
    }
}

/// Nests the value in mappings for the rest of the path.
fn nested(path: &[&str], value: &Value) -> Value {
    path.iter().rev().fold(value.clone(), |value, key| Value::Object(Map::from_iter([((*key).to_owned(), value)])))
}
