//! Who of the ranks is there, and who is gone.

use super::launch_env::{LaunchEnv, ServedBy};
use crate::torch::Store;
use anyhow::{Result, bail};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Between two questions to the store.
pub(super) const POLL: Duration = Duration::from_millis(50);
/// How long a rank that is alive may take to answer a roll call.
const ROLL_CALL: Duration = Duration::from_secs(3);
/// How long the rank that serves the store stays after a failure, so that the others learn of it.
const LINGER: Duration = Duration::from_secs(1);
/// The key under which the first failure is told.
const FAILURE: &str = "failure";

/// What a rank is doing when the roll is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// It waits for other ranks, or has noticed that one is gone.
    Waiting,
    /// It has not come to the operation that the others wait in.
    Working,
}

/// The ranks' list, kept in the store.
#[derive(Debug)]
pub(super) struct Roll {
    pub(super) store: Store,
    pub(super) rank: u64,
    pub(super) world_size: u64,
    serves: bool,
}

impl Roll {
    pub(super) fn new(store: Store, launch: &LaunchEnv) -> Self {
        let meeting = launch.meeting.as_ref();
        let by_rank = meeting.is_some_and(|meeting| meeting.served_by == ServedBy::RankZero);
        Self {
            store,
            rank: launch.rank,
            world_size: launch.world_size,
            serves: by_rank && launch.rank == 0,
        }
    }

    /// Waits until every rank is here.
    ///
    /// # Errors
    /// Names the ranks that have not come.
    pub(super) fn wait_for_all(&self, limit: Duration) -> Result<()> {
        self.store.set(&format!("here/{}", self.rank), "here")?;
        let answers = self.answers("here", limit)?;
        let missing = ranks_where(&answers, |answer| answer.is_none());
        if missing.is_empty() {
            return Ok(());
        }
        self.linger();
        bail!(
            "{} not come within {} s (dist.init_timeout_seconds); look at {} log, and at --nnodes and --nproc-per-node \
             of each machine",
            listed(&missing, "has", "have"),
            limit.as_secs(),
            if missing.len() == 1 { "its" } else { "their" }
        )
    }

    /// Tells all ranks of a failure, and finds out whose it is.
    pub(super) fn call(&self, failure: &str) -> String {
        let told = self.store.set(FAILURE, failure);
        let report = told.and_then(|()| self.report(Doing::Waiting));
        report.unwrap_or_else(|_| self.store_is_gone())
    }

    /// The failure that a rank has told of.
    ///
    /// # Errors
    /// When the store is gone.
    pub(super) fn failure(&self) -> Result<Option<String>> {
        self.store.get(FAILURE)
    }

    /// Answers the roll call, and says in words what the others answer.
    ///
    /// # Errors
    /// When the store is gone.
    pub(super) fn report(&self, doing: Doing) -> Result<String> {
        let answer = match doing {
            Doing::Waiting => "waiting",
            Doing::Working => "working",
        };
        self.store.set(&format!("roll/{}", self.rank), answer)?;
        let answers = self.answers("roll", ROLL_CALL)?;
        self.store.set(&format!("heard/{}", self.rank), "yes")?;
        if self.serves {
            self.stay_for(&ranks_where(&answers, |answer| answer.is_some()));
        }
        let missing = ranks_where(&answers, |answer| answer.is_none());
        let working = ranks_where(&answers, |answer| answer == Some("working"));
        Ok(match (missing.is_empty(), working.is_empty()) {
            (false, _) => format!(
                "{} not answer (killed, stopped or unreachable)",
                listed(&missing, "does", "do")
            ),
            (true, false) => format!(
                "{} still at work while others wait (longer than dist.timeout_seconds?)",
                listed(&working, "is", "are")
            ),
            (true, true) => "every rank is there and waits for others: the network has failed, or a backward pass takes \
                             longer than dist.timeout_seconds"
                .into(),
        })
    }

    pub(super) fn store_is_gone(&self) -> String {
        "the ranks' store is gone: rank 0, or the machine that served it, has ended".into()
    }

    /// Leaves the others time to ask the store, if it ends with this process.
    pub(super) fn linger(&self) {
        if self.serves {
            thread::sleep(LINGER);
        }
    }

    /// The store ends with this process: those who have answered are to hear the others' answers first.
    fn stay_for(&self, ranks: &[usize]) {
        let has_heard =
            |rank: &usize| matches!(self.store.get(&format!("heard/{rank}")), Ok(Some(_)));
        let started = Instant::now();
        while !ranks.iter().all(has_heard) && started.elapsed() < ROLL_CALL {
            thread::sleep(POLL);
        }
    }

    /// What each rank has said in a roll, as soon as all have or the time is over.
    fn answers(&self, roll: &str, limit: Duration) -> Result<Vec<Option<String>>> {
        let ask = |rank: u64| self.store.get(&format!("{roll}/{rank}"));
        let started = Instant::now();
        let mut answers = Vec::new();
        // One after another: a thousand ranks that all ask for all would be too much for the store.
        for rank in 0..self.world_size {
            let mut answer = ask(rank)?;
            while answer.is_none() && started.elapsed() < limit {
                thread::sleep(POLL);
                answer = ask(rank)?;
            }
            answers.push(answer);
        }
        Ok(answers)
    }
}

fn ranks_where(answers: &[Option<String>], holds: impl Fn(Option<&str>) -> bool) -> Vec<usize> {
    let ranks = answers.iter().enumerate();
    let those = ranks.filter(|(_, answer)| holds(answer.as_deref()));
    those.map(|(rank, _)| rank).collect()
}

/// "rank 3 has", "ranks 1, 2 and 5 have".
fn listed(ranks: &[usize], one: &str, several: &str) -> String {
    match ranks {
        [rank] => format!("rank {rank} {one}"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(usize::to_string).collect();
            format!("ranks {} and {last} {several}", first.join(", "))
        }
        [] => format!("no rank {one}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_listed_as_one_would_say_it() {
        assert_eq!(listed(&[3], "has", "have"), "rank 3 has");
        assert_eq!(listed(&[1, 2, 5], "has", "have"), "ranks 1, 2 and 5 have");
    }
}
