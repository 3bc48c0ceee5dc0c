//! A step that is recorded once and from then on launched as a whole, which spares the CPU the launching of each
//! operation.

use super::step_io::{StepInputs, StepOutputs};
use crate::data::{Batch, Counts};
use crate::torch::Graph;
use anyhow::{Context, Result};

/// Steps of one shape, one after another, before one is recorded: the libraries have then chosen their kernels and made
/// their handles.
const WARM_UP: u32 = 3;
/// Steps after which it is told that none has been recorded.
const PATIENCE: u32 = 20;

/// Launches a step piece by piece.
type Pieces<'a> = dyn FnMut() -> Result<StepOutputs> + 'a;
/// Launches it again.
type Replay = Box<dyn Fn() -> Result<()>>;
/// Notes down what is launched, without running it.
type Recorder = Box<dyn Fn(&mut Pieces<'_>) -> Result<(Replay, StepOutputs)>>;

/// Launches steps: piece by piece, or from a record of one.
pub struct StepGraph<B>(Launch<B>);

enum Launch<B> {
    ByPiece,
    WarmingUp(Recorder, WarmUp),
    Recorded(Record<B>),
}

/// What came so far.
#[derive(Default)]
struct WarmUp {
    steps: u32,
    last: Option<Shape>,
    /// Of that shape, one after another, before the last one.
    alike: u32,
}

/// What a step's operations depend on: the shapes of its micro-batches, and the counts that it divides by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    batches: Vec<Vec<i64>>,
    counts: Counts,
}

impl Shape {
    /// None where the CPU decides on the operations by what is in a batch.
    fn of<B: Batch>(inputs: &StepInputs<B>) -> Option<Self> {
        Some(Self {
            batches: inputs
                .batches
                .iter()
                .map(Batch::shape)
                .collect::<Option<_>>()?,
            counts: inputs.counts,
        })
    }
}

/// A recorded step, whose inputs and outputs have their places in memory.
struct Record<B> {
    shape: Shape,
    inputs: StepInputs<B>,
    outputs: StepOutputs,
    replay: Replay,
}

impl<B: Batch> StepGraph<B> {
    /// Every step piece by piece.
    pub(super) fn off() -> Self {
        Self(Launch::ByPiece)
    }

    /// By a CUDA graph of the GPU of this number.
    pub(super) fn on_gpu(index: usize) -> Self {
        Self::by(Box::new(move |pieces| {
            let (graph, outputs) = Graph::record(index, pieces)?;
            let replay: Replay = Box::new(move || graph.replay());
            Ok((replay, outputs))
        }))
    }

    fn by(recorder: Recorder) -> Self {
        Self(Launch::WarmingUp(recorder, WarmUp::default()))
    }

    /// Launches a step on these inputs: by `pieces`, or as it was recorded on inputs of the same shape. The next step's
    /// numbers may come in the place of the ones that this one gives.
    pub(super) fn launch(
        &mut self,
        inputs: StepInputs<B>,
        pieces: &mut dyn FnMut(&StepInputs<B>) -> Result<StepOutputs>,
    ) -> Result<StepOutputs> {
        match &mut self.0 {
            Launch::ByPiece => pieces(&inputs),
            Launch::Recorded(record) if Shape::of(&inputs).as_ref() == Some(&record.shape) => {
                record.repeat(inputs)
            }
            Launch::Recorded(_) => pieces(&inputs),
            Launch::WarmingUp(recorder, warm_up) => match warm_up.settled(Shape::of(&inputs)) {
                None => pieces(&inputs),
                Some(shape) => {
                    let recorded = recorder(&mut || pieces(&inputs));
                    let (replay, outputs) = recorded
                        .context("train.cuda_graphs: \"off\" launches steps piece by piece")?;
                    log::debug!("the step is recorded; from now on it is launched as a whole");
                    replay()?;
                    let shared = outputs.share();
                    self.0 = Launch::Recorded(Record {
                        shape,
                        inputs,
                        outputs,
                        replay,
                    });
                    Ok(shared)
                }
            },
        }
    }
}

impl WarmUp {
    /// Takes note of a step, and gives its shape back if it is to be recorded.
    fn settled(&mut self, shape: Option<Shape>) -> Option<Shape> {
        self.steps += 1;
        if self.steps == PATIENCE {
            log::warn!(
                "train.cuda_graphs: the batches' shapes or counts change from step to step, as those of packed or padded \
                 rows do; steps are launched piece by piece"
            );
        }
        self.alike = match shape.is_some() && self.last == shape {
            true => self.alike + 1,
            false => 0,
        };
        self.last = shape;
        self.last.clone().filter(|_| self.alike >= WARM_UP)
    }
}

impl<B: Batch> Record<B> {
    /// The recorded step on other numbers.
    fn repeat(&mut self, inputs: StepInputs<B>) -> Result<StepOutputs> {
        let own = std::mem::take(&mut self.inputs.batches);
        let pairs = own.into_iter().zip(inputs.batches);
        self.inputs.batches = pairs.map(|(own, new)| own.overwritten(new)).collect();
        self.inputs.lr.copy_(&inputs.lr);
        (self.replay)()?;
        Ok(self.outputs.share())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TokenBatch;
    use crate::model::{Layout, Tokens};
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;
    use tch::{Device, Kind, Tensor};

    type Operation = Box<dyn Fn()>;

    /// A device on which a step is `weight += lr · Σ ids / targets`. While it records it runs nothing, but keeps what the
    /// step would have read and written.
    #[derive(Clone)]
    struct Machine {
        weight: Rc<Tensor>,
        records: Rc<Cell<bool>>,
        tape: Rc<RefCell<Vec<Operation>>>,
        launched_by_piece: Rc<Cell<u32>>,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                weight: Rc::new(Tensor::zeros([], (Kind::Double, Device::Cpu))),
                records: Rc::default(),
                tape: Rc::default(),
                launched_by_piece: Rc::default(),
            }
        }

        fn work(&self, inputs: &StepInputs<TokenBatch>) -> Result<StepOutputs> {
            let numbers = Tensor::zeros([1], (Kind::Double, Device::Cpu));
            let (weight, out) = (Rc::clone(&self.weight), numbers.shallow_clone());
            let (ids, lr) = (
                inputs.batches[0].tokens.ids.shallow_clone(),
                inputs.lr.shallow_clone(),
            );
            let targets = inputs.counts.targets as f64;
            let operation: Operation = Box::new(move || {
                let step = ids.sum(Kind::Double) * &lr / targets;
                let _ = weight.shallow_clone().g_add_(&step);
                out.shallow_clone().copy_(&weight);
            });
            match self.records.get() {
                true => self.tape.borrow_mut().push(operation),
                false => {
                    operation();
                    self.launched_by_piece.set(self.launched_by_piece.get() + 1);
                }
            }
            Ok(StepOutputs {
                names: vec!["loss"],
                numbers,
            })
        }

        fn graph(&self) -> StepGraph<TokenBatch> {
            let machine = self.clone();
            StepGraph::by(Box::new(move |pieces| {
                machine.records.set(true);
                let outputs = pieces()?;
                machine.records.set(false);
                let tape = machine.tape.take();
                let replay: Replay = Box::new(move || {
                    tape.iter().for_each(|operation| operation());
                    Ok(())
                });
                Ok((replay, outputs))
            }))
        }
    }

    fn inputs(step: i64, width: i64, targets: i64) -> StepInputs<TokenBatch> {
        let ids = Tensor::arange(width, (Kind::Int64, Device::Cpu)).view([1, -1]) + step;
        let counts = Counts {
            targets,
            examples: 1,
            tokens: width,
        };
        StepInputs {
            batches: vec![TokenBatch {
                targets: &ids + 1,
                tokens: Tokens {
                    ids,
                    layout: Layout::Causal,
                },
                counts,
            }],
            counts,
            lr: Tensor::from(0.5_f32 / (step + 1) as f32),
        }
    }

    /// Weights after each step; the widths of the rows and their targets change on the way.
    fn weights(mut graph: StepGraph<TokenBatch>, machine: &Machine) -> Vec<f64> {
        let shapes = [
            (4, 4),
            (4, 4),
            (6, 6),
            (4, 4),
            (4, 4),
            (4, 4),
            (4, 4),
            (4, 4),
            (6, 6),
            (4, 3),
            (4, 4),
        ];
        let step = |(step, (width, targets))| {
            let inputs = inputs(step, width, targets);
            let outputs = graph
                .launch(inputs, &mut |inputs| machine.work(inputs))
                .unwrap();
            outputs.numbers.double_value(&[0])
        };
        (0..).zip(shapes).map(step).collect()
    }

    #[test]
    fn a_recorded_step_gives_what_its_pieces_give() {
        let [by_piece, recorded] = [Machine::new(), Machine::new()];
        let expected = weights(StepGraph::off(), &by_piece);
        assert_eq!(weights(recorded.graph(), &recorded), expected);
        assert_eq!(by_piece.launched_by_piece.get(), 11);
        // Two and one before the shape had settled, three to warm up; then two of other shapes.
        assert_eq!(recorded.launched_by_piece.get(), 8);
    }
}
