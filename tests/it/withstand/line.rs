//! A client that is quick enough for load: one connection, plain or encrypted, from any address of
//! this machine.
use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::CertificateDer},
};

/// Longer than any answer takes.
const GUARD: Duration = Duration::from_secs(120);

pub(super) const NAME: &str = "push.test";

pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Io for S {}

pub(super) struct Line(BufReader<Box<dyn Io>>);

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    /// Whether nothing more may be sent on the connection.
    pub(super) fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }
}

impl Line {
    pub(super) async fn to(address: &str) -> io::Result<Self> {
        Ok(Self::over(Box::new(TcpStream::connect(address).await?)))
    }

    /// From the `nth` loopback address, 1 being the usual one.
    pub(super) async fn from(nth: u8, address: &str) -> io::Result<Self> {
        Ok(Self::over(Box::new(from(nth, address).await?)))
    }

    pub(super) async fn encrypted(address: &str, by: &TlsConnector) -> io::Result<Self> {
        Self::encrypted_to(NAME, address, by).await
    }

    /// To the server of this name.
    pub(super) async fn encrypted_to(
        name: &'static str,
        address: &str,
        by: &TlsConnector,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        Ok(Self::over(Box::new(by.connect(name.try_into().unwrap(), stream).await?)))
    }

    fn over(stream: Box<dyn Io>) -> Self {
        Self(BufReader::new(stream))
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref()).await?;
        self.0.get_mut().flush().await
    }

    /// Says that nothing more will be sent; what comes can still be read.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        self.0.get_mut().shutdown().await
    }

    /// One answer; one that is cut short is an error.
    pub(super) async fn answer(&mut self) -> io::Result<Answer> {
        timeout(GUARD, self.read_answer())
            .await
            .map_err(|_| io::Error::from(ErrorKind::TimedOut))?
    }

    /// An answer that has no body, whatever length it tells.
    pub(super) async fn head(&mut self) -> io::Result<Answer> {
        timeout(GUARD, self.read_head()).await.map_err(|_| io::Error::from(ErrorKind::TimedOut))?
    }

    async fn read_answer(&mut self) -> io::Result<Answer> {
        let mut answer = self.read_head().await?;
        let length =
            answer.head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await?;
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }

    async fn read_head(&mut self) -> io::Result<Answer> {
        let broken = || io::Error::from(ErrorKind::UnexpectedEof);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await? == 0 {
                return Err(broken());
            }
        }
        let head = head.to_ascii_lowercase();
        let status = head.get(9..12).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
        Ok(Answer { status, head, body: String::new() })
    }

    pub(super) async fn push(&mut self, path: &str, body: &str) -> io::Result<Answer> {
        self.send(request(path, body)).await?;
        self.answer().await
    }

    /// All that comes until the other side closes; a reset also ends it.
    pub(super) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        match timeout(GUARD, self.0.read_to_end(&mut rest)).await.expect("it stays open") {
            Ok(_) => (),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => (),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => (),
            Err(error) => panic!("{error}"),
        }
        String::from_utf8_lossy(&rest).into_owned()
    }
}

pub(super) fn request(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {length}\r\n\r\n{body}")
}

pub(super) async fn from(nth: u8, address: &str) -> io::Result<TcpStream> {
    connect(TcpSocket::new_v4()?, nth, address).await
}

/// One that takes little in before it reads.
pub(super) async fn narrow_from(nth: u8, address: &str) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4_096)?;
    connect(socket, nth, address).await
}

async fn connect(socket: TcpSocket, nth: u8, address: &str) -> io::Result<TcpStream> {
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, nth)), 0))?;
    socket.connect(address.parse().unwrap()).await
}

/// Trusts these certificates and no others.
pub(super) fn connector(trusted: &[CertificateDer<'static>]) -> TlsConnector {
    connector_for(trusted, &[])
}

/// One that speaks these protocols, the best first.
pub(super) fn connector_for(
    trusted: &[CertificateDer<'static>],
    protocols: &[&str],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config).into()
}
