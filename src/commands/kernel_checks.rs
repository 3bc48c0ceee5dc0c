//! `llama-train doctor --kernels`: every kernel of a device against torch's own operations, and on a GPU the time of both.

use super::Output;
use crate::config::{DeviceChoice, Kernels};
use crate::dist::LaunchEnv;
use crate::torch;
use crate::torch::kernels::ON_GPU;
use crate::torch::ops::checks::{self, Case, Placement, Run};
use crate::train::choose_kernels;
use anyhow::Result;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Instant;
use tch::{Cuda, Device, Kind};

/// Runs that are timed, and before them.
const TIMED: u32 = 10;
const WARM_UP: u32 = 3;

/// One operation in one kind of numbers.
#[derive(Debug)]
struct Line {
    operation: &'static str,
    kind: &'static str,
    /// How many shapes and places were tried.
    cases: usize,
    /// Of the case that comes nearest to its limit, or goes beyond it.
    worst: f64,
    limit: f64,
    /// The shape of that case.
    shape: String,
    /// Of the fused and the composed form, forward and backward, on the largest shape.
    seconds: Option<[f64; 2]>,
}

impl Line {
    /// Of an operation that ended with an error, which stands in the shape's place.
    fn failed(operation: &'static str, kind: &'static str, error: &anyhow::Error) -> Self {
        Self {
            operation,
            kind,
            cases: 0,
            worst: f64::NAN,
            limit: 0.0,
            shape: format!("{error:#}"),
            seconds: None,
        }
    }

    fn holds(&self) -> bool {
        self.worst <= self.limit // false where it is not a number
    }
}

/// Exits with 1 where a kernel differs by more than its rounding.
///
/// # Errors
/// When the device is not there, the kernels cannot be made, or libtorch refuses.
pub fn run(device: DeviceChoice) -> Result<Output> {
    let device = LaunchEnv::read()?.select_device(device)?;
    choose_kernels(Kernels::Fused, device)?;
    let mut lines = Vec::new();
    for (kind, name) in [(Kind::Float, "fp32"), (Kind::BFloat16, "bf16")] {
        for kernel in ON_GPU {
            let checked = torch::catch(|| Ok(line(kernel.name, (kind, name), device)));
            lines.push(checked.unwrap_or_else(|error| Line::failed(kernel.name, name, &error)));
        }
    }
    Ok(report(device, &lines))
}

fn line(operation: &'static str, (kind, name): (Kind, &'static str), device: Device) -> Line {
    let mut line = Line {
        operation,
        kind: name,
        cases: 0,
        worst: 0.0,
        limit: 0.0,
        shape: String::new(),
        seconds: None,
    };
    let of_operation = |case: &Case| case.operation == operation;
    for case in checks::small(device).into_iter().filter(of_operation) {
        line.take(&case, kind, case.placements);
    }
    if let Device::Cuda(index) = device {
        for case in checks::large(device).into_iter().filter(of_operation) {
            line.take(&case, kind, &[Placement::Aligned]);
            let [fused, composed, besides] = case.runs(kind).map(|run| seconds(&run, index as i64));
            line.seconds = Some([fused - besides, composed - besides]);
        }
    }
    line
}

impl Line {
    fn take(&mut self, case: &Case, kind: Kind, placements: &[Placement]) {
        for placement in placements {
            let outcome = case.compare(kind, *placement);
            let beyond = !outcome.holds() && self.holds();
            // In parts of the limit; a limit of 0 is kept or not.
            let nearer = outcome.worst * self.limit >= self.worst * outcome.limit;
            if self.cases == 0 || beyond || (nearer && outcome.holds() == self.holds()) {
                self.worst = outcome.worst;
                self.limit = outcome.limit;
                self.shape.clone_from(&case.shape);
            }
            self.cases += 1;
        }
    }
}

/// Of one run, from queue to end.
fn seconds(run: &Run<'_>, cuda_index: i64) -> f64 {
    for _ in 0..WARM_UP {
        drop(run.values_and_gradients());
    }
    Cuda::synchronize(cuda_index);
    let start = Instant::now();
    for _ in 0..TIMED {
        drop(run.values_and_gradients());
    }
    Cuda::synchronize(cuda_index);
    start.elapsed().as_secs_f64() / f64::from(TIMED)
}

fn report(device: Device, lines: &[Line]) -> Output {
    let name = torch::device_name(device).unwrap_or_else(|| "cpu".into());
    let mut text = format!("{name}\n");
    let mut checks = Vec::new();
    for line in lines {
        let mark = if line.holds() { "ok" } else { "--" };
        let speed = line.seconds.map_or_else(String::new, |[fused, composed]| {
            let [fused, composed] = [fused, composed].map(|seconds| seconds * 1e6);
            format!(", {fused:.0} us against {composed:.0} us")
        });
        // A String takes everything.
        let _ = writeln!(
            text,
            "{mark}  {:<16} {}  {} cases, worst difference {:.1e} (at most {:.0e}){speed}",
            line.operation, line.kind, line.cases, line.worst, line.limit
        );
        if !line.holds() {
            let _ = writeln!(text, "      at {}", line.shape);
        }
        checks.push(as_json(line));
    }
    let holds = lines.iter().all(Line::holds);
    Output {
        json: json!({"device": name, "holds": holds, "checks": checks}),
        text: text.trim_end().to_owned(),
        exit_code: u8::from(!holds),
    }
}

fn as_json(line: &Line) -> Value {
    json!({
        "operation": line.operation,
        "kind": line.kind,
        "holds": line.holds(),
        "cases": line.cases,
        "worst_difference": line.worst,
        "limit": line.limit,
        "shape": line.shape,
        "fused_seconds": line.seconds.map(|[fused, _]| fused),
        "composed_seconds": line.seconds.map(|[_, composed]| composed),
    })
}
