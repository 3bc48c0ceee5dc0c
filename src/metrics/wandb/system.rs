//! What the machine does: processors, memory and GPUs, under the names of the official client.

use std::fs;
use std::process::Command;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::recorder::Event;

/// Time between samples. They also tell the server that the run is alive.
const INTERVAL: Duration = Duration::from_secs(15);
const NVIDIA_SMI: [&str; 2] = [
    "--query-gpu=index,utilization.gpu,utilization.memory,memory.used,memory.total,temperature.gpu,power.draw",
    "--format=csv,noheader,nounits",
];

type Values = Vec<(String, f64)>;

/// Sends samples until nobody takes them; a sample for which there is no room is left out.
pub(super) fn sample_into(queue: &SyncSender<Event>) {
    let mut before = ProcessorTimes::read();
    let mut has_gpus = true;
    loop {
        let mut values = memory();
        let now = ProcessorTimes::read();
        values.extend(
            before
                .zip(now)
                .and_then(|(before, now)| now.busy_since(before)),
        );
        before = now;
        let of_gpus = if has_gpus { gpus() } else { Vec::new() };
        has_gpus = !of_gpus.is_empty();
        values.extend(of_gpus);
        let time = SystemTime::now();
        let sample = Event::Stats { time, values };
        if let Err(TrySendError::Disconnected(_)) = queue.try_send(sample) {
            return;
        }
        thread::sleep(INTERVAL);
    }
}

/// Time of all processors since the machine started, in ticks.
#[derive(Clone, Copy)]
struct ProcessorTimes {
    idle: u64,
    all: u64,
}

impl ProcessorTimes {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// `cpu user nice system idle iowait …`, then a line for each processor.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line.split_whitespace().flat_map(str::parse).collect();
        Some(Self {
            idle: ticks.get(3)? + ticks.get(4)?,
            all: ticks.iter().take(8).sum(), // what follows is counted in user and nice already
        })
    }

    fn busy_since(self, before: Self) -> Option<(String, f64)> {
        let all = self.all.checked_sub(before.all).filter(|&all| all > 0)?;
        let idle = self.idle.saturating_sub(before.idle);
        Some(("cpu".into(), 100.0 * (1.0 - idle as f64 / all as f64)))
    }
}

fn memory() -> Values {
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let process = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut values = Vec::new();
    let mut add = |name: &str, value: Option<f64>| {
        values.extend(value.map(|value| (name.to_owned(), value)));
    };
    let (total, available) = (
        field(&machine, "MemTotal:"),
        field(&machine, "MemAvailable:"),
    );
    let resident = field(&process, "VmRSS:");
    let percent = |part: f64| Some(100.0 * part / total?);
    add(
        "memory_percent",
        total
            .zip(available)
            .and_then(|(total, available)| percent(total - available)),
    );
    add("proc.memory.availableMB", available.map(|kb| kb / 1024.0));
    add("proc.memory.rssMB", resident.map(|kb| kb / 1024.0));
    add("proc.memory.percent", resident.and_then(percent));
    add("proc.cpu.threads", field(&process, "Threads:"));
    values
}

/// The number behind a name, in the file's own unit.
fn field(text: &str, name: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

/// By the driver's own tool; nothing where there is none.
fn gpus() -> Values {
    let output = Command::new("nvidia-smi").args(NVIDIA_SMI).output();
    let text = output.ok().filter(|output| output.status.success());
    text.map_or_else(Vec::new, |output| {
        parse_gpus(&String::from_utf8_lossy(&output.stdout))
    })
}

fn parse_gpus(text: &str) -> Values {
    let mut values = Vec::new();
    for line in text.lines() {
        let mut columns = line.split(',').map(str::trim);
        let Some(index) = columns.next().filter(|index| !index.is_empty()) else {
            continue;
        };
        let numbers: Vec<Option<f64>> = columns.map(|column| column.parse().ok()).collect();
        let number = |at: usize| numbers.get(at).copied().flatten();
        let mut add = |name: &str, value: Option<f64>| {
            values.extend(value.map(|value| (format!("gpu.{index}.{name}"), value)));
        };
        let (used, total) = (number(2), number(3)); // MiB
        add("gpu", number(0));
        add("memory", number(1));
        add(
            "memoryAllocated",
            used.zip(total).map(|(used, total)| 100.0 * used / total),
        );
        add("memoryAllocatedBytes", used.map(|mib| mib * 1_048_576.0));
        add("temp", number(4));
        add("powerWatts", number(5));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_and_memory() {
        let times = |text| ProcessorTimes::parse(text).unwrap();
        let before = times("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2\n");
        let after = times("cpu  160 0 120 710 110 0 0 0 0 0\n");
        let (name, percent) = after.busy_since(before).unwrap();
        assert_eq!((name.as_str(), percent), ("cpu", 80.0));
        let found = memory();
        assert_eq!(found.len(), 5);
        assert!(found.iter().all(|(_, value)| *value > 0.0), "{found:?}");
    }

    /// As nvidia-smi prints two cards, one of which does not tell its power.
    #[test]
    fn cards() {
        let found = parse_gpus("0, 97, 40, 1024, 4096, 61, 350.5\n1, 0, 0, 0, 4096, 30, [N/A]\n");
        let value = |name: &str| {
            found
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| *value)
        };
        assert_eq!(value("gpu.0.gpu"), Some(97.0));
        assert_eq!(value("gpu.0.memoryAllocated"), Some(25.0));
        assert_eq!(value("gpu.0.powerWatts"), Some(350.5));
        assert_eq!(value("gpu.1.temp"), Some(30.0));
        assert_eq!(value("gpu.1.powerWatts"), None);
    }
}
