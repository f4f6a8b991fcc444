use std::{
    io::{self, Read, Write},
    net::TcpStream,
    process::ExitCode,
    time::Duration,
};

use super::{
    Failure,
    settings::{Settings, reached_at},
};

const TIME_MAX: Duration = Duration::from_secs(3);

/// Asks the public listener whether it is alive. It runs every few seconds in a container, so it
/// starts neither a runtime nor a TLS library.
pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let address = reached_at(settings.public.listen);
    let ask = || -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, TIME_MAX)?;
        stream.set_read_timeout(Some(TIME_MAX))?;
        stream.set_write_timeout(Some(TIME_MAX))?;
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut status_line = vec![0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut status_line)?;
        Ok(status_line)
    };
    let status_line = ask().map_err(Failure::because(format!("nobody answers at {address}")))?;
    match status_line.as_slice() {
        b"HTTP/1.1 200" => Ok(ExitCode::SUCCESS),
        other => Err(Failure::new(format!(
            "the server at {address} is not well: {}",
            String::from_utf8_lossy(other).escape_debug()
        ))),
    }
}
