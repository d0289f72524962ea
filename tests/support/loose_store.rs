//! An S3 endpoint that ignores preconditions: every PUT is 200, whatever `If-None-Match` says, as some real servers do.
//!
//! No more of S3 than a start-up probe needs: PUT, GET, HEAD, DELETE and an empty listing, one request for each connection.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const LISTING: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>loose</Name><Prefix></Prefix>\
    <KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>";

/// Starts it on a free port for as long as this process lives; gives `http://127.0.0.1:<port>`.
pub fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let mut objects = BTreeMap::new();
        for stream in listener.incoming().flatten() {
            if let Err(error) = serve(stream, &mut objects) {
                eprintln!("loose store: {error}");
            }
        }
    });
    format!("http://{address}")
}

fn serve(stream: TcpStream, objects: &mut BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default().to_string(), words.next().unwrap_or_default().to_string());
    let mut body = vec![0; content_length(&mut reader)?];
    reader.read_exact(&mut body)?;
    let mut stream = reader.into_inner();
    match method.as_str() {
        "PUT" => {
            objects.insert(path, body);
            answer(&mut stream, "200 OK", b"")
        }
        "DELETE" => {
            objects.remove(&path);
            answer(&mut stream, "204 No Content", b"")
        }
        "GET" if path.contains("list-type=2") => answer(&mut stream, "200 OK", LISTING.as_bytes()),
        _ => match objects.get(&path) {
            Some(object) if method == "GET" => answer(&mut stream, "200 OK", object),
            Some(_) => answer(&mut stream, "200 OK", b""),
            None => answer(&mut stream, "404 Not Found", b""),
        },
    }
}

fn content_length(reader: &mut impl BufRead) -> std::io::Result<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(length);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
    }
}

fn answer(stream: &mut TcpStream, status: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    let head = "etag: \"loose\"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nconnection: close\r\n";
    stream.write_all(format!("HTTP/1.1 {status}\r\n{head}content-length: {length}\r\n\r\n").as_bytes())?;
    stream.write_all(body)
}
