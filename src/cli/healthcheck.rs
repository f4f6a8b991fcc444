use std::{
    io::{self, Read, Write},
    net::TcpStream,
    process::ExitCode,
    time::Duration,
};

use super::{
    Failure,
    client::http_client_here,
    runtime,
    settings::{Settings, reached_at},
};

const TIME_MAX: Duration = Duration::from_secs(3);

/// Asks the public listener whether it is alive. It runs every few seconds in a container, so it
/// starts neither a runtime nor a TLS library where the listener is plain.
pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    if settings.public.tls_cert.is_some() {
        return runtime()?.block_on(ask_encrypted(settings));
    }
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

/// The same over TLS. The certificate is not judged: it is made out to the name by which others
/// reach the listener.
async fn ask_encrypted(settings: &Settings) -> Result<ExitCode, Failure> {
    let base = settings.public_url_here();
    let asked = http_client_here(&base)?.get(format!("{base}/healthz")).timeout(TIME_MAX).send();
    let answer = asked.await.map_err(Failure::because(format!("nobody answers at {base}")))?;
    match answer.status().as_u16() {
        200 => Ok(ExitCode::SUCCESS),
        other => Err(Failure::new(format!("the server at {base} is not well: {other}"))),
    }
}
