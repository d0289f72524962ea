//! Asking the admin endpoint of a process on this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::CliError;
use crate::config::Config;

/// How long an answer may take: a reload waits until what is open is stored.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Longest answer.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// An answer's status and body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Where the process of this configuration can be asked.
pub(super) fn address(config: &Config) -> Result<SocketAddr, CliError> {
    let Some(address) = config.admin else {
        let message = format!("{}: [admin] listen is off: nobody answers; write an address, and restart", config.file);
        return Err(CliError::input(message));
    };
    let local = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(SocketAddr::new(local, address.port()))
}

/// One request, on a connection of its own.
pub(super) async fn ask(address: SocketAddr, method: &str, path: &str) -> Result<Answer, CliError> {
    let doing = format!("asking {address}{path}; is `alluvium run` there?");
    let asked = tokio::time::timeout(TIMEOUT, exchange(address, method, path)).await;
    let answered = asked.map_err(|_| CliError::environment(&doing, "no answer in 300 s"))?;
    let text = answered.map_err(|e| CliError::environment(&doing, e))?;
    parse(&text).ok_or_else(|| CliError::environment(&doing, "what answers there is no admin endpoint"))
}

async fn exchange(address: SocketAddr, method: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nx-alluvium: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut text).await?;
    Ok(text)
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    Some(Answer { status, body: body.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart_and_other_talk_is_none() {
        let answer = parse("HTTP/1.1 409 Conflict\r\na: b\r\n\r\n{}\n").expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (409, "{}\n"));
        assert!(parse("SSH-2.0-OpenSSH_9.2\r\n").is_none() && parse("HTTP/1.1 x\r\n\r\n").is_none());
    }
}
