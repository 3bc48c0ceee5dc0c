//! `llama-train export`: a checkpoint in the form that others read.

use super::Output;
use crate::bad_request;
use crate::hub;
use crate::model::{ModelOptions, Transformer};
use crate::storage::create_dir_all;
use crate::tokenizer::Tokenizer;
use crate::weights::{self, hf, meta};
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;
use tch::{Device, Kind, nn};

/// What to write, and as what.
#[derive(Debug, Clone)]
pub struct Request {
    /// A checkpoint, any Hugging Face Llama folder, Meta's, or `hf://org/name`.
    pub checkpoint: PathBuf,
    /// Folder to write to; empty, or not there yet.
    pub out: PathBuf,
    /// Whose form.
    pub format: Format,
    /// The kind of number; the checkpoint's own where it is none.
    pub kind: Option<Kind>,
}

/// Whose form a model folder has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `config.json` and `model.safetensors`.
    HuggingFace,
    /// `params.json` and `consolidated.00.pth`.
    Meta,
}

/// Reads the model and writes it anew.
///
/// # Errors
/// A bad request when there is no model or the folder is taken; later when a file is damaged or the disk is full.
pub fn run(request: &Request) -> Result<Output> {
    let out = &request.out;
    if out
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some())
    {
        return Err(bad_request!(
            "{}: this folder is not empty; name another with --out",
            out.display()
        ));
    }
    let from = &hub::model_dir(&request.checkpoint)?;
    let config = weights::read_config(from)?;
    let kind = match request.kind {
        Some(kind) => kind,
        None => weights::stored_kind(from)?,
    };
    let tokenizer = Tokenizer::load(from).ok();
    let store = nn::VarStore::new(Device::Cpu);
    let compute = Kind::Float;
    let _model = Transformer::new(&store.root(), &config, &ModelOptions { compute })?;
    weights::load(from, &store, &config)?;
    create_dir_all(out)?;
    match request.format {
        Format::HuggingFace => {
            let special = tokenizer.as_ref();
            let special = special.map_or_else(Default::default, hf::SpecialTokens::of);
            hf::save(out, &store, &config, &special, kind)?;
        }
        Format::Meta => meta::save(out, &store, &config, kind)?,
    }
    match &tokenizer {
        Some(tokenizer) => tokenizer.write_to(out)?,
        None => log::warn!(
            "{}: there is no tokenizer beside the weights",
            from.display()
        ),
    }
    let dtype = match kind {
        Kind::BFloat16 => "bf16",
        Kind::Half => "fp16",
        _ => "fp32",
    };
    Ok(Output {
        json: json!({"out": out, "dtype": dtype}),
        text: format!("{}: written in {dtype}", out.display()),
        exit_code: 0,
    })
}
