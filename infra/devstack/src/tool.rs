//! Helper programs (pip, Maven, Java) that run to their end. Owns nothing beyond
//! the call; what the output means is the caller's business.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{DevstackError, Result};
use crate::spawner;

/// Lines of output that an error message quotes.
const TAIL_LINES: usize = 15;

/// Runs a program to its end, handing over each line of its output.
pub(crate) fn run(mut command: Command, mut on_line: impl FnMut(&str)) -> Result<()> {
    let program = command.get_program().to_os_string();
    let failed = |action| DevstackError::io(action, Path::new(&program));
    let (reader, writer) = std::io::pipe().map_err(failed("open a pipe to"))?;
    let copy = writer.try_clone().map_err(failed("open a pipe to"))?;
    command.stdin(Stdio::null()).stdout(writer).stderr(copy);
    let mut child = spawner::spawn(command).map_err(failed("start"))?;

    let mut tail = VecDeque::with_capacity(TAIL_LINES);
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .map_err(failed("read from"))?
        > 0
    {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        on_line(&text);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(text);
        line.clear();
    }
    let status = child.wait().map_err(failed("wait for"))?;
    if status.success() {
        return Ok(());
    }
    Err(DevstackError::Tool {
        program: program.to_string_lossy().into_owned(),
        status,
        output: tail.into_iter().collect::<Vec<_>>().join("\n"),
    })
}

/// Runs a program to its end and returns all that it wrote; meant for the few
/// lines of a version message.
pub(crate) fn output(command: Command) -> Result<String> {
    let mut text = String::new();
    run(command, |line| {
        text.push_str(line);
        text.push('\n');
    })?;
    Ok(text)
}
