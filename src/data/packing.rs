//! Which examples share a row.

use std::collections::BTreeMap;

/// Examples in rows of at most `capacity` tokens, each whole: best fit decreasing (Johnson 1973), the longest first, each
/// into the fullest row that has room. The rows stand in the order of their first examples. Decided by the lengths alone.
///
/// # Panics
/// When an example is longer than a row.
pub(super) fn pack(lengths: &[u32], capacity: u32) -> Vec<Vec<u32>> {
    let mut longest_first: Vec<u32> = (0..lengths.len() as u32).collect();
    longest_first.sort_by_key(|&example| std::cmp::Reverse(lengths[example as usize]));
    let mut rows: Vec<Vec<u32>> = Vec::new();
    let mut by_room: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for example in longest_first {
        let length = lengths[example as usize];
        assert!(
            length <= capacity,
            "an example of {length} tokens in a row of {capacity}"
        );
        let (row, room) = take_fullest(&mut by_room, length).unwrap_or_else(|| {
            rows.push(Vec::new());
            (rows.len() - 1, capacity)
        });
        rows[row].push(example);
        by_room.entry(room - length).or_default().push(row);
    }
    for row in &mut rows {
        row.sort_unstable();
    }
    rows.sort_unstable_by_key(|row| row[0]);
    rows
}

/// A row with room for `length`, and its room; as little as possible.
fn take_fullest(by_room: &mut BTreeMap<u32, Vec<usize>>, length: u32) -> Option<(usize, u32)> {
    let (&room, rows) = by_room.range_mut(length..).next()?;
    let row = rows.pop()?;
    if rows.is_empty() {
        by_room.remove(&room);
    }
    Some((row, room))
}

#[cfg(test)]
mod tests {
    use super::super::sampler::split_mix;
    use super::*;

    fn filled(row: &[u32], lengths: &[u32]) -> u32 {
        row.iter().map(|&example| lengths[example as usize]).sum()
    }

    #[test]
    fn the_longest_go_first_and_the_rest_fill_up() {
        let rows = pack(&[3, 9, 2, 5, 8, 1], 10);
        assert_eq!(rows, [vec![0, 2, 3], vec![1, 5], vec![4]]);
    }

    #[test]
    fn every_example_is_in_one_row_that_holds_it() {
        for count in 0..200_u64 {
            let lengths: Vec<u32> = (0..count)
                .map(|index| (split_mix(index) % 64) as u32 + 1)
                .collect();
            let rows = pack(&lengths, 64);
            let mut all = rows.concat();
            all.sort_unstable();
            assert!(all.iter().copied().eq(0..count as u32));
            assert!(rows.iter().all(|row| filled(row, &lengths) <= 64));
            // Two rows that are at most half full would have been one.
            let half_empty = rows.iter().filter(|row| filled(row, &lengths) <= 32);
            assert!(half_empty.count() <= 1);
        }
    }
}
