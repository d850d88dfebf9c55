//! Compiles the proto into Rust, and into the descriptors that reflection and the documentation are made of.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = "../../proto";
    println!("cargo:rerun-if-changed={folder}");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo says where to write")?);
    let mut compiler = protox::Compiler::new([folder])?;
    compiler
        .include_source_info(true)
        .open_file("relay/v1/relay.proto")?;
    let described = compiler.file_descriptor_set();
    std::fs::write(out.join("relay.v1.bin"), described.encode_to_vec())?;
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .compile_fds(described)?;
    Ok(())
}
