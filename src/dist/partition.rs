//! Numbers dealt out over the ranks, as many to each.

use std::ops::Range;

/// Cuts inside a tensor fall on multiples of so many numbers, so that vector instructions find whole vectors.
const GRAIN: i64 = 64;

/// A run of numbers of one of the tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which tensor.
    pub tensor: usize,
    /// Which of its numbers, in memory order.
    pub range: Range<i64>,
}

/// Which rank has which numbers of a list of tensors: the list is thought of as one line of numbers, cut into as many
/// equal parts as there are ranks. Every rank computes the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition(Vec<Vec<Piece>>);

impl Partition {
    /// For tensors of these lengths.
    #[must_use]
    pub fn new(lengths: &[i64], ranks: u64) -> Self {
        let total: i64 = lengths.iter().sum();
        let ranks = ranks as i64;
        let cut = |rank: i64| (i128::from(total) * i128::from(rank) / i128::from(ranks)) as i64;
        Self(
            (0..ranks)
                .map(|rank| pieces(lengths, cut(rank)..cut(rank + 1)))
                .collect(),
        )
    }

    /// What a rank has, in the tensors' order.
    #[must_use]
    pub fn of(&self, rank: u64) -> &[Piece] {
        &self.0[rank as usize]
    }
}

/// The parts of the tensors that lie between two points of the line.
fn pieces(lengths: &[i64], between: Range<i64>) -> Vec<Piece> {
    let mut start = 0;
    let mut found = Vec::new();
    for (tensor, &length) in lengths.iter().enumerate() {
        let inside = |point: i64| match point - start {
            before if before <= 0 => 0,
            after if after >= length => length,
            within => (within / GRAIN) * GRAIN,
        };
        let range = inside(between.start)..inside(between.end);
        if !range.is_empty() {
            found.push(Piece { tensor, range });
        }
        start += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_rank() {
        let lists: [&[i64]; 5] = [
            &[],
            &[1],
            &[1, 0, 700, 3],
            &[64, 128, 5, 1999, 64],
            &[1_000_003],
        ];
        for (lengths, ranks) in lists
            .into_iter()
            .flat_map(|list| (1..9).map(move |n| (list, n)))
        {
            let partition = Partition::new(lengths, ranks);
            let mut taken: Vec<Vec<u32>> = lengths
                .iter()
                .map(|&length| vec![0; length as usize])
                .collect();
            for rank in 0..ranks {
                for Piece { tensor, range } in partition.of(rank) {
                    range
                        .clone()
                        .for_each(|place| taken[*tensor][place as usize] += 1);
                }
            }
            let once = taken.iter().flatten().all(|&times| times == 1);
            assert!(once, "{lengths:?} over {ranks}");
        }
    }

    #[test]
    fn a_large_tensor_is_cut_so_that_all_have_the_same() {
        let partition = Partition::new(&[64, 64 * 62, 64], 2);
        let piece = |tensor, range| Piece { tensor, range };
        assert_eq!(partition.of(0), [piece(0, 0..64), piece(1, 0..64 * 31)]);
        assert_eq!(
            partition.of(1),
            [piece(1, 64 * 31..64 * 62), piece(2, 0..64)]
        );
    }
}
