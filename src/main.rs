//! The `llama-train` binary.

fn main() -> std::process::ExitCode {
    llama_train::cli::run()
}
