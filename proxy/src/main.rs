//! The program; all of it is in the library, so that `lintel proxy` is the same.

fn main() -> std::process::ExitCode {
    lintel_proxy::main(std::env::args_os().collect())
}
