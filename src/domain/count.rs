//! Numbers in sentences. PURE.

/// `1 file`, `2 files`, `0 files`; `one` is the word for one of them, which becomes many by an s.
pub fn of(count: impl TryInto<u64>, one: &str) -> String {
    // What does not fit into 64 bits is many.
    let count = count.try_into().unwrap_or(u64::MAX);
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn one_is_one_and_all_others_are_many() {
        assert_eq!([of(0_u32, "run"), of(1_usize, "run"), of(12_u64, "file")], ["0 runs", "1 run", "12 files"]);
    }
}
