//! Which of the candidates takes a request. Pure: whose turn it is, the time, chance and weights come in as values, and
//! nothing is remembered here.

/// The candidate whose turn it is, or the next one after it that is usable.
pub fn round_robin<T>(candidates: &[T], turn: usize, usable: impl Fn(&T) -> bool) -> Option<&T> {
    let first = turn.checked_rem(candidates.len())?;
    let (before, from_first) = candidates.split_at(first);
    from_first
        .iter()
        .chain(before)
        .find(|candidate| usable(candidate))
}

/// A usable candidate with the least load. Several that have it take turns: the first one after whose turn it is would
/// get the turns of those before it that have more to do.
pub fn least_outstanding_requests<T>(
    candidates: &[T],
    turn: usize,
    usable: impl Fn(&T) -> bool,
    load: impl Fn(&T) -> usize,
) -> Option<&T> {
    let mut least = usize::MAX;
    let (mut first, mut tied) = (None, 0);
    for candidate in candidates.iter().filter(|candidate| usable(candidate)) {
        let load = load(candidate);
        if first.is_none() || load < least {
            (least, first, tied) = (load, Some(candidate), 1);
        } else if load == least {
            tied += 1;
        }
    }
    let nth = turn.checked_rem(tied)?;
    // Other workers move the loads meanwhile: whoever had the least is good enough.
    let mut lightest = candidates
        .iter()
        .filter(|candidate| usable(candidate) && load(candidate) <= least);
    lightest.nth(nth).or(first)
}

/// The usable candidate at `point` (from 0 to below 1) of all their weights, laid end to end.
pub fn weighted_random<T>(
    candidates: &[T],
    point: f64,
    usable: impl Fn(&T) -> bool,
    weight: impl Fn(usize) -> f64,
) -> Option<&T> {
    let usable = || {
        let candidates = candidates.iter().enumerate();
        candidates.filter(|(_, candidate)| usable(candidate))
    };
    let total: f64 = usable().map(|(at, _)| weight(at)).sum();
    let mut left = point * total;
    let mut last = None;
    for (at, candidate) in usable() {
        left -= weight(at);
        last = Some(candidate);
        if left < 0.0 {
            break;
        }
    }
    last
}

/// Smooth weighted round robin, as nginx has it: each turn everybody is given credit by its weight, and who has the most
/// pays for all. Shares are the weights', and the turns of one candidate lie as far apart as they can.
pub fn smooth_weighted_round_robin(
    credit: &mut [f64],
    usable: impl Fn(usize) -> bool,
    weight: impl Fn(usize) -> f64,
) -> Option<usize> {
    let mut total = 0.0;
    let mut richest: Option<usize> = None;
    for at in (0..credit.len()).filter(|at| usable(*at)) {
        let weight = weight(at);
        total += weight;
        credit[at] += weight;
        if richest.is_none_or(|richest| credit[at] > credit[richest]) {
            richest = Some(at);
        }
    }
    credit[richest?] -= total;
    richest
}

#[cfg(test)]
mod tests;
