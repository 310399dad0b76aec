//! Counts and lists in sentences. PURE.

/// Formats a count: `1 file`, `2 files`, `0 files`; the plural of `one` is formed with an s.
pub fn plural(count: impl TryInto<u64>, one: &str) -> String {
    // A number that does not fit into 64 bits is plural.
    let count = count.try_into().unwrap_or(u64::MAX);
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// The most names in a sentence.
const NAMED: usize = 5;

/// Lists names as `a, b and c more`: the first few, and the number of the rest.
pub fn named<N: std::fmt::Display>(names: impl IntoIterator<Item = N>) -> String {
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(NAMED).map(|name| name.to_string()).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{named, plural};

    #[test]
    fn of_many_names_the_first_stand_in_the_sentence() {
        assert_eq!([named(["a"; 0]), named(["a"]), named(["a", "b"])], ["", "a", "a, b"]);
        assert_eq!(named(0..8), "0, 1, 2, 3, 4 and 3 more");
    }

    #[test]
    fn one_is_one_and_all_others_are_many() {
        assert_eq!(
            [plural(0_u32, "run"), plural(1_usize, "run"), plural(12_u64, "file")],
            ["0 runs", "1 run", "12 files"]
        );
    }
}
