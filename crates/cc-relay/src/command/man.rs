//! `man`: the manual, from the same tree as `--help`.
//!
//! In: nothing, or a folder. Out: the main page on stdout, or one page for each command in the
//! folder.

use std::path::Path;

use clap::CommandFactory as _;

use crate::cli::{Cli, ManArgs};
use crate::command::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Prints or writes the manual.
///
/// # Errors
/// When stdout or the folder cannot be written.
pub fn run(context: &mut Context, arguments: &ManArgs) -> Result<Exit, Failure> {
    let Some(folder) = &arguments.out else {
        let page = render(Cli::command())?;
        context.out.text(&page)?;
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    let mut written = Vec::new();
    let mut root = Cli::command();
    // Gives each command below its full name.
    root.build();
    write_pages(folder, &root, &mut written)?;
    if context.out.is_json() {
        context
            .out
            .data(serde_json::json!({ "files": written }), &[])?;
    } else {
        let shown = context.env.show_path(folder);
        context
            .out
            .line(&format!("{} pages written to {shown}", written.len()))?;
    }
    Ok(Exit::Done)
}

/// Writes the page of `command` and of everything below it.
fn write_pages(
    folder: &Path,
    command: &clap::Command,
    written: &mut Vec<String>,
) -> Result<(), Failure> {
    let path = folder.join(clap_mangen::Man::new(command.clone()).get_filename());
    let page = render(command.clone())?;
    std::fs::write(&path, page).map_err(|error| cannot_write(&path, &error))?;
    written.push(path.display().to_string());
    for child in command.get_subcommands() {
        write_pages(folder, child, written)?;
    }
    Ok(())
}

fn render(command: clap::Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| {
            Failure::new(
                Exit::Failed,
                "man",
                format!("cannot render the manual: {error}"),
            )
        })?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot write {}: {error}", path.display());
    Failure::new(Exit::CannotWrite, "cannot_write", message).help("choose another folder by --out")
}
