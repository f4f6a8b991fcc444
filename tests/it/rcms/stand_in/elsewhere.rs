//! Another host, where no request of the product's has any business.
use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Counts who comes, and answers, so that a client that came knows it was heard.
pub(crate) struct Elsewhere {
    address: SocketAddr,
    connections: watch::Receiver<usize>,
}

impl Elsewhere {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, connections) = watch::channel(0);
        tokio::spawn(answer_all(listener, count));
        Self { address, connections }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.borrow()
    }
}

async fn answer_all(listener: TcpListener, count: watch::Sender<usize>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        count.send_modify(|count| *count += 1);
        tokio::spawn(answer(stream));
    }
}

/// The request is read first: a close with unread bytes would be a reset.
async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut unread = [0; 4096];
    if stream.read(&mut unread).await? > 0 {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(text).await?;
    }
    Ok(())
}
