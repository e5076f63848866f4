//! A device for tests: commands come in on standard input, see `afield_tests::processes::agent`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("the path of a store file is missing")?;
    afield_tests::processes::agent::run(std::path::Path::new(&path))
}
