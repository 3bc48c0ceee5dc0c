//! Where the ranks of a job meet before there is a group.

use super::launch_env::{LaunchEnv, Meeting, ServedBy};
use super::roll::{POLL, Roll};
use super::watchdog::{self, Watchdog};
use super::{ProcessGroup, SingleProcess, c10d::C10dProcessGroup};
use crate::config::DistConfig;
use crate::torch::{Group, Membership, Store, StoreAddress};
use anyhow::{Context, Result, bail};
use std::{env, rc::Rc, thread, time::Duration};
use tch::Device;

/// What the calls may take beyond their own limits.
const GRACE: Duration = Duration::from_secs(5);

/// The ranks' meeting place.
#[derive(Debug)]
pub struct Rendezvous {
    launch: LaunchEnv,
    others: Option<Others>,
    config: DistConfig,
}

/// What there is where there are other ranks.
#[derive(Debug)]
struct Others {
    roll: Roll,
    address: StoreAddress,
}

impl Rendezvous {
    /// Waits until every rank is here; a process that was started by itself waits for nobody.
    ///
    /// # Errors
    /// Names the ranks that have not come, or says why the store cannot be reached.
    pub fn meet(launch: LaunchEnv, config: DistConfig) -> Result<Self> {
        let limit = Duration::from_secs(config.init_timeout_seconds);
        let Some(meeting) = launch.meeting.clone() else {
            return Ok(Self::without_others(launch, config));
        };
        let LaunchEnv {
            rank, world_size, ..
        } = launch;
        let place = format!("{}:{}", meeting.address.host, meeting.address.port);
        let too_late = format!(
            "rank {rank} of {world_size}: what answers at {place} (MASTER_ADDR, MASTER_PORT) is not a store of torch; \
             is the port another program's?"
        );
        let store = watchdog::guard(limit + GRACE, too_late, || open(&meeting, &launch, limit))
            .with_context(|| format!("rank {rank} of {world_size}"))?;
        let roll = Roll::new(store, &launch);
        roll.wait_for_all(limit)
            .with_context(|| format!("rank {rank} of {world_size}"))?;
        Ok(Self {
            launch,
            others: Some(Others {
                roll,
                address: meeting.address,
            }),
            config,
        })
    }

    /// For work that needs no other rank, a dry run for example.
    #[must_use]
    pub fn without_others(launch: LaunchEnv, config: DistConfig) -> Self {
        Self {
            launch,
            others: None,
            config,
        }
    }

    /// This process's place in the job.
    #[must_use]
    pub fn launch(&self) -> &LaunchEnv {
        &self.launch
    }

    /// Runs `work` on rank 0, then on all others: what it writes is there when they come. `name` is used once.
    ///
    /// # Errors
    /// Those of `work`; on the other ranks also that rank 0 has failed.
    pub fn rank_zero_first<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(Others { roll, .. }) = &self.others else {
            return work();
        };
        let key = format!("first/{name}");
        if self.launch.rank == 0 {
            let result = work();
            roll.store
                .set(&key, if result.is_ok() { "done" } else { "failed" })?;
            if result.is_err() {
                roll.linger();
            }
            return result;
        }
        loop {
            match roll.store.get(&key).context("rank 0 has gone")?.as_deref() {
                Some("done") => return work(),
                Some(_) => bail!("rank 0 has stopped; its own message says why"),
                None => thread::sleep(POLL),
            }
        }
    }

    /// What `work` says on rank 0, on every rank; the others do nothing for it. `name` is used once.
    ///
    /// # Errors
    /// Those of `work`; on the other ranks that rank 0 has failed.
    pub fn rank_zero_says(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<String>,
    ) -> Result<String> {
        let Some(Others { roll, .. }) = &self.others else {
            return work();
        };
        let key = format!("says/{name}");
        if self.launch.rank != 0 {
            self.rank_zero_first(name, || Ok(()))?;
            let said = roll.store.get(&key).context("rank 0 has gone")?;
            return said.context("rank 0 has said nothing");
        }
        self.rank_zero_first(name, || {
            let said = work()?;
            roll.store.set(&key, &said)?;
            Ok(said)
        })
    }

    /// The group of all ranks on this kind of device.
    ///
    /// # Errors
    /// When the ranks cannot connect to each other.
    pub fn group(self, device: Device) -> Result<Rc<dyn ProcessGroup>> {
        let Some(Others { roll, address }) = self.others else {
            return Ok(Rc::new(SingleProcess));
        };
        let member = Membership {
            rank: self.launch.rank,
            world_size: self.launch.world_size,
            timeout: Duration::from_secs(self.config.timeout_seconds),
            interface: env::var("GLOO_SOCKET_IFNAME").ok(),
            device,
        };
        let limit = Duration::from_secs(self.config.init_timeout_seconds).max(member.timeout);
        let advice = "check that each machine reaches the others' addresses; GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME \
                      name the network interface to use";
        let (rank, world_size) = (member.rank, member.world_size);
        let too_late = format!("rank {rank} of {world_size}: the ranks cannot connect; {advice}");
        let group = watchdog::guard(limit + GRACE, too_late, || {
            Group::join(&roll.store, &member)
        })
        .with_context(|| {
            format!("rank {rank} of {world_size}: cannot connect to the other ranks; {advice}")
        })?;
        let connection = Store::connect(&address, limit)?;
        let watchdog = Watchdog::start(Roll::new(connection, &self.launch));
        let bucket_bytes = self.config.bucket_megabytes << 20;
        Ok(Rc::new(C10dProcessGroup::new(
            group,
            roll,
            watchdog,
            usize::try_from(bucket_bytes)?,
        )))
    }
}

fn open(meeting: &Meeting, launch: &LaunchEnv, limit: Duration) -> Result<Store> {
    let address = &meeting.address;
    let place = format!("{}:{}", address.host, address.port);
    if meeting.served_by == ServedBy::RankZero && launch.rank == 0 {
        return Store::serve(address, launch.world_size, limit).with_context(|| {
            format!(
                "cannot serve the ranks' store at {place} (MASTER_ADDR, MASTER_PORT); is the port taken? Give torchrun \
                 another --master-port, or --standalone on a single machine"
            )
        });
    }
    Store::connect(address, limit).with_context(|| {
        format!(
            "no store at {place} (MASTER_ADDR, MASTER_PORT) within {} s; is rank 0 running, and does this machine reach \
             that address?",
            limit.as_secs()
        )
    })
}
