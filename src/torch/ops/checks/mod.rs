//! Every operation against its [`composed`](super::composed) form in f64, values and gradients, on any device: what
//! `doctor --kernels` runs on a GPU, and the tests in the emulation of one.

mod cases;
mod update;

pub use cases::{large, small};

use tch::{Kind, Tensor};

/// What an operation makes of its inputs.
pub type Function = dyn Fn(&[Tensor]) -> Vec<Tensor>;

/// An operation, and numbers to try it on.
pub struct Case {
    /// Its name in [`crate::torch::kernels::ON_GPU`].
    pub operation: &'static str,
    /// What is tried.
    pub shape: String,
    inputs: Vec<Tensor>,
    fused: Box<Function>,
    exact: Box<Function>,
    /// The largest difference that is right, over the largest value: in fp32 and in bf16.
    limits: [f64; 2],
    /// Where its numbers may begin.
    pub placements: &'static [Placement],
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.operation, self.shape)
    }
}

/// Where the numbers begin in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Where libtorch puts them: at a multiple of 16 bytes.
    Aligned,
    /// One number further on.
    Shifted,
}

/// How the fused and the exact form compare.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// The largest difference over the largest value, of all outputs and gradients. Not a number where one has none that
    /// the other has.
    pub worst: f64,
    /// What it may be.
    pub limit: f64,
}

impl Outcome {
    /// Whether it is right.
    #[must_use]
    pub fn holds(self) -> bool {
        self.worst <= self.limit // false where it is not a number
    }
}

impl Case {
    /// Both forms on the same numbers, rounded to `kind` (fp32 or bf16).
    #[must_use]
    pub fn compare(&self, kind: Kind, placement: Placement) -> Outcome {
        let rounded = self.inputs.iter().map(|input| match input.kind() {
            Kind::Double => input.to_kind(kind),
            _ => input.shallow_clone(),
        });
        let rounded: Vec<_> = rounded.collect();
        let exact = Run::new(
            &*self.exact,
            leaves(&rounded, |input| input.to_kind(Kind::Double)),
        );
        let fused = Run::new(
            &*self.fused,
            leaves(&rounded, |input| place(input, placement)),
        );
        let (fused, exact) = (fused.values_and_gradients(), exact.values_and_gradients());
        let worst = fused.iter().zip(&exact).map(|(a, b)| difference(a, b));
        let [of_fp32, of_bf16] = self.limits;
        Outcome {
            worst: worst.fold(0.0, |a, b| if a <= b || b.is_nan() { b } else { a }),
            limit: if kind == Kind::Float {
                of_fp32
            } else {
                of_bf16
            },
        }
    }

    /// On numbers of `kind`: the fused form, the composed one, and what both do besides, which is to make one number of
    /// the outputs and to begin its gradient.
    #[must_use]
    pub fn runs(&self, kind: Kind) -> [Run<'_>; 3] {
        let numbers = || leaves(&self.inputs, |input| input.to_kind(kind));
        let fused = Run::new(&*self.fused, numbers());
        let outputs = (self.fused)(&numbers());
        let ends = outputs.iter().map(|output| {
            let has_gradient = output.requires_grad();
            output.detach().set_requires_grad(has_gradient)
        });
        let besides = Run::new(&same, ends.collect());
        [fused, Run::new(&*self.exact, numbers()), besides]
    }
}

/// A form of an operation on numbers of its own.
pub struct Run<'a> {
    function: &'a Function,
    leaves: Vec<Tensor>,
    /// Of the outputs' numbers in the sum whose gradient is taken.
    weights: Vec<Tensor>,
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

impl<'a> Run<'a> {
    fn new(function: &'a Function, leaves: Vec<Tensor>) -> Self {
        let outputs = tch::no_grad(|| function(&leaves));
        let weights = outputs.iter().map(|output| {
            let options = (Kind::Float, output.device());
            let weights = Tensor::linspace(-1.0, 1.5, output.numel() as i64, options);
            weights.view_as(output).to_kind(output.kind())
        });
        Self {
            weights: weights.collect(),
            function,
            leaves,
        }
    }

    /// Outputs, and the leaves' gradients where the outputs have any.
    #[must_use]
    pub fn values_and_gradients(&self) -> Vec<Tensor> {
        let mut outputs = (self.function)(&self.leaves);
        let weighed = outputs.iter().zip(&self.weights);
        let weighed = weighed.filter(|(output, _)| output.requires_grad());
        let sum = weighed.map(|(output, weights)| (output * weights).sum(Kind::Double));
        if let Some(sum) = sum.reduce(|a, b| a + b) {
            let wanted: Vec<_> = self
                .leaves
                .iter()
                .filter(|leaf| leaf.requires_grad())
                .collect();
            outputs.extend(Tensor::run_backward(&[sum], &wanted, false, false));
        }
        outputs
    }
}

fn same(tensors: &[Tensor]) -> Vec<Tensor> {
    tensors.iter().map(Tensor::shallow_clone).collect()
}

/// Ids stay what they are.
fn leaves(inputs: &[Tensor], leaf: impl Fn(&Tensor) -> Tensor) -> Vec<Tensor> {
    let leaves = inputs.iter().map(|input| match input.kind() {
        Kind::Int64 => input.shallow_clone(),
        _ => leaf(input).detach().set_requires_grad(true),
    });
    leaves.collect()
}

/// The same values elsewhere.
fn place(input: &Tensor, placement: Placement) -> Tensor {
    match placement {
        Placement::Aligned => input.copy(),
        Placement::Shifted => {
            let count = input.numel() as i64;
            let longer = Tensor::zeros([count + 1], (input.kind(), input.device()));
            let place = longer.narrow(0, 1, count).view(input.size().as_slice());
            place.shallow_clone().copy_(input);
            place
        }
    }
}

fn difference(fused: &Tensor, exact: &Tensor) -> f64 {
    if fused.size() != exact.size() {
        return f64::NAN;
    }
    let exact = exact.to_kind(Kind::Double);
    let difference = (fused.to_kind(Kind::Double) - &exact).abs().max();
    (difference / exact.abs().max().clamp_min(1e-30)).double_value(&[])
}
