//! The examples below each verb's help: at most 80 columns wide, so that none is wrapped, and whole commands that can be
//! pasted once paths and names are yours.

pub(super) const TOP: &str = "\
From nothing to a model that writes Python, in minutes on a laptop:
  llama-train pretrain --config configs/quickstart.toml
  llama-train generate --checkpoint runs/quickstart/checkpoints/best \\
    --prompt 'def '

Any key of the configuration can be set on the command line:
  llama-train pretrain --config my.toml --set optim.max_lr=1e-3 --dry-run

Each verb has examples of its own: llama-train <COMMAND> --help";

pub(super) const PREP_PRETRAIN: &str = "\
Examples:
  llama-train prep-data pretrain --input 'books/**/*.txt' \\
    --tokenizer tokenizer.json --out data/books
  llama-train prep-data pretrain --input hf://datasets/org/name:config/train \\
    --tokenizer hf://org/model --max-tokens 100000000 --out data/web";

pub(super) const PREP_INSTRUCT: &str = "\
Examples:
  llama-train prep-data instruct --input chats.jsonl \\
    --tokenizer hf://org/name --inspect 3
  llama-train prep-data instruct --input chats.jsonl \\
    --tokenizer hf://org/name --out data/chats

A row is a list of turns (messages, conversations), or a prompt beside an
answer (prompt/completion, instruction/input/output, question/answer).";

pub(super) const PREP_PREFERENCE: &str = "\
Example:
  llama-train prep-data preference --input pairs.jsonl \\
    --tokenizer hf://org/name --out data/pairs

A row has a chosen and a rejected side and, unless they hold it, a prompt:
texts, lists of turns, or dialogues of Human and Assistant.";

pub(super) const PREP_TOKENIZER: &str = "\
Example:
  llama-train prep-data tokenizer --input books --vocab-size 32000 \\
    --out tokenizer.json";

pub(super) const PREP_EVAL: &str = "\
Example:
  llama-train prep-data eval --tasks hellaswag,mmlu \\
    --tokenizer tokenizer.json --out data/benchmarks";

pub(super) const PRETRAIN: &str = "\
Examples:
  llama-train pretrain --config configs/quickstart.toml
  llama-train pretrain --config configs/pretrain/124m.toml \\
    --set data.path=data/books --set run.name=books
  llama-train pretrain --config configs/pretrain/124m.toml --dry-run
  torchrun --no-python --standalone --nproc-per-node 8 \\
    llama-train pretrain --config configs/pretrain/1b.toml --resume

Ctrl-C finishes the step and saves; the same command with --resume goes on.
In runs/NAME are then report.html, metrics.jsonl, log.txt and checkpoints.";

pub(super) const SFT: &str = "\
Examples:
  llama-train sft --init-from runs/books/checkpoints/best \\
    --set data.path=data/chats --set run.name=chat
  llama-train sft --init-from hf://org/name --set lora.enabled=true \\
    --set data.path=data/chats --set run.name=chat-lora";

pub(super) const DPO: &str = "\
Examples:
  llama-train dpo --init-from runs/chat/checkpoints/best \\
    --set data.path=data/pairs --set run.name=preferred
  llama-train dpo --init-from runs/chat/checkpoints/best \\
    --set data.path=data/pairs --set dpo.loss=simpo --set run.name=simpo";

pub(super) const DISTILL: &str = "\
Examples:
  llama-train distill --config configs/distill/half.toml \\
    --set distill.teacher=runs/quickstart/checkpoints/best
  llama-train distill --config configs/distill/1b.toml \\
    --set distill.teacher=hf://org/name";

pub(super) const GENERATE: &str = "\
Examples:
  llama-train generate --checkpoint runs/quickstart/checkpoints/best \\
    --prompt 'def ' --max-new-tokens 100
  llama-train generate --checkpoint runs/quickstart/checkpoints/best \\
    --prompt - < start-of-a-file.py
  llama-train generate --checkpoint runs/chat/checkpoints/best --interactive
  llama-train generate --checkpoint hf://org/name --prompt 'Call me' \\
    --temperature 0 --json";

pub(super) const EVAL: &str = "\
Examples:
  llama-train eval --checkpoint runs/quickstart/checkpoints/best \\
    --tasks loss,hellaswag --data data/python-stdlib
  llama-train eval --checkpoint hf://org/name --compare hf://org/other \\
    --tasks hellaswag --task-data hellaswag=items.jsonl";

pub(super) const EXPORT: &str = "\
Examples:
  llama-train export --checkpoint runs/quickstart/checkpoints/best \\
    --format meta --out quickstart-meta
  llama-train export --checkpoint runs/chat-lora/checkpoints/best \\
    --merge-lora --dtype bf16 --out chat-merged";

pub(super) const PLAN: &str = "\
Examples:
  llama-train plan --config configs/pretrain/124m.toml --device rtx4090
  llama-train plan --config configs/pretrain/8b.toml --device h200 \\
    --world-size 8 --mfu 0.5
  llama-train plan --set model.preset=llama3.2-1b --json";

pub(super) const BENCH: &str = "\
Examples:
  llama-train bench --config configs/pretrain/124m.toml
  llama-train bench --config configs/quickstart.toml --steps 50 --json";

pub(super) const DOCTOR: &str = "\
Examples:
  llama-train doctor
  llama-train doctor --json

Lines that begin with -- are not there or do not work, and name the remedy.
A machine without any of them still trains, on its CPU.";

pub(super) const REPORT: &str = "\
Examples:
  llama-train report quickstart               # runs/quickstart/report.html
  llama-train report first second third       # report.html, over each other
  llama-train report runs/* --out all.html
  llama-train report quickstart --csv         # runs/quickstart/metrics.csv

The page is one file that needs no network. Each run draws its own at its end.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  llama-train completions bash \\
    > ~/.local/share/bash-completion/completions/llama-train
  llama-train completions zsh > ~/.zfunc/_llama-train
    # and in ~/.zshrc, before compinit: fpath+=(~/.zfunc)
  llama-train completions fish > ~/.config/fish/completions/llama-train.fish";
