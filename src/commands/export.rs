//! `llama-train export`: a checkpoint in the form that others read.

use super::Output;
use crate::bad_request;
use crate::storage::create_dir_all;
use crate::tokenizer::Tokenizer;
use crate::weights::{Adapter, Pretrained, hf, meta, peft};
use anyhow::Result;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use tch::Kind;

/// What to write, and as what.
#[derive(Debug, Clone)]
pub struct Request {
    /// A checkpoint, any Hugging Face Llama folder, Meta's, or a `.pt` file of the original project.
    pub checkpoint: PathBuf,
    /// An adapter over it.
    pub adapter: Option<PathBuf>,
    /// What becomes of the adapter.
    pub lora: Lora,
    /// Scale of an adapter that does not say its own.
    pub lora_alpha: f64,
    /// Tokenizer, where none is beside the weights.
    pub tokenizer: Option<PathBuf>,
    /// Folder to write to; empty, or not there yet.
    pub out: PathBuf,
    /// Whose form.
    pub format: Format,
    /// The kind of number; the checkpoint's own where it is none.
    pub kind: Option<Kind>,
}

/// What becomes of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lora {
    /// It is written alone, in PEFT's form.
    Alone,
    /// It is added into the weights.
    Merged,
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
    check_is_empty(&request.out)?;
    let adapter = request.adapter.as_deref();
    let pretrained = Pretrained::open(&request.checkpoint, adapter, request.lora_alpha)?;
    let kind = match request.kind {
        Some(kind) => kind,
        None => pretrained.stored_kind()?,
    };
    let tokenizer = pretrained.tokenizer(request.tokenizer.as_deref());
    match (pretrained.adapter(), request.lora) {
        (Some(adapter), Lora::Alone) => {
            write_adapter(request, pretrained.base_name(), adapter)?;
            tell_base(&pretrained);
        }
        (None, Lora::Merged) => {
            return Err(bad_request!(
                "--merge-lora: {} has no adapter; name one with --adapter",
                request.checkpoint.display()
            ));
        }
        _ => write_model(request, &pretrained, tokenizer.as_ref().ok(), kind)?,
    }
    match &tokenizer {
        Ok(tokenizer) => tokenizer.write_to(&request.out)?,
        Err(error) => log::warn!("written without a tokenizer: {error:#}"),
    }
    Ok(output(&request.out, kind))
}

fn check_is_empty(out: &Path) -> Result<()> {
    let taken =
        out.is_file() || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    match taken {
        true => Err(bad_request!(
            "{}: this folder is not empty; name another with --out",
            out.display()
        )),
        false => Ok(()),
    }
}

fn write_model(
    request: &Request,
    pretrained: &Pretrained,
    tokenizer: Option<&Tokenizer>,
    kind: Kind,
) -> Result<()> {
    let (out, config) = (&request.out, pretrained.config());
    let store = pretrained.merged_weights(kind)?;
    create_dir_all(out)?;
    match request.format {
        Format::HuggingFace => {
            let special = pretrained.special_tokens(tokenizer);
            hf::save(out, &store, config, &special, kind)
        }
        Format::Meta => meta::save(out, &store, config, kind),
    }
}

/// An adapter is small and exact: it keeps its own kind of number.
fn write_adapter(request: &Request, base: &str, adapter: &Adapter) -> Result<()> {
    if request.format == Format::Meta || request.kind.is_some() {
        return Err(bad_request!(
            "an adapter alone has no --format meta and keeps its own --dtype; add --merge-lora to write the whole model"
        ));
    }
    create_dir_all(&request.out)?;
    peft::save(&request.out, adapter, base)
}

/// Others find the model that the adapter names only as a Hugging Face folder.
fn tell_base(pretrained: &Pretrained) {
    if !pretrained.has_hub_base() {
        log::warn!(
            "the adapter is written alone, and PEFT cannot open the model it names, {}: --merge-lora writes both as one \
             Hugging Face folder",
            pretrained.base_name()
        );
    }
}

fn output(out: &Path, kind: Kind) -> Output {
    let dtype = match kind {
        Kind::BFloat16 => "bf16",
        Kind::Half => "fp16",
        _ => "fp32",
    };
    Output {
        json: json!({"out": out, "dtype": dtype}),
        text: format!("{}: written in {dtype}", out.display()),
        exit_code: 0,
    }
}
