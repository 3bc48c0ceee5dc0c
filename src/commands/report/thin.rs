//! Fewer points than were measured, and a calmer line through them. A plot is some hundred pixels wide: of each stretch
//! of steps the lowest and the highest value are kept, so that no spike is lost and a page of 10^5 steps stays small.

/// Stretches that a plot is cut into; each keeps two points.
const STRETCHES: usize = 400;

/// Step and value; NaN where there is a gap.
pub(super) type Points = Vec<(f64, f64)>;

/// At most two points of each stretch, in order; ends and gaps are kept.
pub(super) fn thin(points: &[(f64, f64)]) -> Points {
    if points.len() <= 2 * STRETCHES {
        return points.to_vec();
    }
    let mut kept = Points::with_capacity(3 * STRETCHES + 2);
    kept.extend(points.first());
    for stretch in points.chunks(points.len().div_ceil(STRETCHES)) {
        let mut chosen = extremes(stretch);
        chosen.extend(stretch.iter().position(|(_, value)| value.is_nan()));
        chosen.sort_unstable();
        chosen.dedup();
        kept.extend(chosen.into_iter().map(|at| stretch[at]));
    }
    kept.extend(points.last());
    kept.dedup_by(|a, b| a.0 == b.0 && a.1.to_bits() == b.1.to_bits());
    kept
}

/// Where the lowest and the highest value of a stretch are.
fn extremes(stretch: &[(f64, f64)]) -> Vec<usize> {
    let finite = || (0..stretch.len()).filter(|&at| stretch[at].1.is_finite());
    let by_value = |a: &usize, b: &usize| stretch[*a].1.total_cmp(&stretch[*b].1);
    let ends = [finite().min_by(by_value), finite().max_by(by_value)];
    ends.into_iter().flatten().collect()
}

/// How many points a calmer line takes the mean of: none where there are too few for noise.
pub(super) fn window(points: usize) -> Option<usize> {
    (points >= 30).then(|| (points / 40).max(3) | 1) // odd: as many before as after
}

/// The mean of a window around each point. At the beginning, which is steep, it narrows to the point itself; at the end it
/// reaches back. Gaps stay gaps.
pub(super) fn smooth(points: &[(f64, f64)], window: usize) -> Points {
    let (mut sums, mut counts) = (vec![0.0], vec![0_usize]);
    let (mut sum, mut count) = (0.0, 0);
    for (_, value) in points {
        if value.is_finite() {
            (sum, count) = (sum + value, count + 1);
        }
        sums.push(sum);
        counts.push(count);
    }
    let mean = |at: usize| {
        let before = (window / 2).min(at);
        let after = before.min(points.len() - 1 - at);
        let (first, end) = (at - before, at + after + 1);
        (sums[end] - sums[first]) / (counts[end] - counts[first]) as f64
    };
    let smoothed = points.iter().enumerate();
    let smoothed = smoothed.map(|(at, &(step, value))| match value.is_finite() {
        true => (step, mean(at)),
        false => (step, f64::NAN),
    });
    smoothed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_gaps_and_ends_survive() {
        let mut points: Points = (0..100_000).map(|step| (f64::from(step), 1.0)).collect();
        points[54_321].1 = 9.0;
        points[77_777].1 = -9.0;
        points[30_000].1 = f64::NAN;
        let kept = thin(&points);
        assert!(kept.len() <= 3 * STRETCHES + 2, "{}", kept.len());
        assert!(kept.is_sorted_by(|a, b| a.0 < b.0));
        for (step, value) in [
            (0.0, 1.0),
            (54_321.0, 9.0),
            (77_777.0, -9.0),
            (99_999.0, 1.0),
        ] {
            assert!(kept.contains(&(step, value)), "{step}");
        }
        assert!(
            kept.iter()
                .any(|(step, value)| *step == 30_000.0 && value.is_nan())
        );
        assert_eq!(thin(&points[..700]), points[..700]);
    }

    #[test]
    fn a_mean_has_no_lag_and_keeps_gaps() {
        let mut points: Points = (0..50)
            .map(|step| (f64::from(step), 2.0 * f64::from(step)))
            .collect();
        assert_eq!(smooth(&points, 5)[..48], points[..48]); // a straight line is its own mean
        assert_eq!(smooth(&points, 5)[49].1, 96.0);
        points[20].1 = f64::NAN;
        let smoothed = smooth(&points, 5);
        assert!(smoothed[20].1.is_nan());
        assert_eq!(smoothed[21].1, (38.0 + 42.0 + 44.0 + 46.0) / 4.0);
        assert_eq!((window(29), window(1000)), (None, Some(25)));
    }
}
