//! Compares the outline of a changed text with the old outline and the intended changes.

use super::Patch;
use crate::yaml::Tree;

/// Returns whether `new` is `old` with the patches (in order) applied.
pub(super) fn is_as_meant(old: &Tree, patches: &[Patch], new: &Tree) -> bool {
    let (mut in_old, mut in_new) = (0, 0);
    for patch in patches {
        let Some(kept) = patch.nodes.start.checked_sub(in_old) else { return false };
        let same = same_marks(old, in_old, new, in_new, kept);
        in_new += kept;
        let meant = in_new + patch.marks.len() <= new.len()
            && patch.marks.iter().zip(in_new..).all(|(mark, node)| *mark == new.mark(node));
        if !same || !meant {
            return false;
        }
        in_new += patch.marks.len();
        in_old = patch.nodes.end;
    }
    let kept = old.len() - in_old;
    new.len() == in_new + kept && same_marks(old, in_old, new, in_new, kept)
}

fn same_marks(old: &Tree, in_old: usize, new: &Tree, in_new: usize, count: usize) -> bool {
    in_old + count <= old.len()
        && in_new + count <= new.len()
        && (0..count).all(|step| old.mark(in_old + step) == new.mark(in_new + step))
}
