//! Servers that stand in front of simdeck, each with a configuration that reuses its connections.
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::line::Line;
use crate::process::{Process, free_port};

/// A front that does not listen by then will not.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// A running front.
pub(super) struct Front {
    pub(super) address: String,
    process: Process,
    _folder: TempDir,
}

impl Front {
    pub(super) fn nginx(upstream: &str) -> Self {
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let at = folder.path().display();
        let text = format!(
            "daemon off; master_process off; pid {at}/pid; error_log stderr;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;\n\
               fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
               upstream simdeck {{ server {upstream}; keepalive 4; }}\n\
               server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://simdeck;\n\
                 proxy_http_version 1.1; proxy_request_buffering off; client_max_body_size 8m;\n\
                 proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
                 proxy_set_header X-Forwarded-For $remote_addr; }} }} }}\n"
        );
        let config = written(folder.path(), "nginx.conf", &text);
        let mut command = Command::new("nginx");
        command.args(["-p", folder.path().to_str().unwrap(), "-c", &config]);
        let remedy = "install it with `apt-get install nginx-light`, or run tests/all";
        Self::over(Process::start("nginx", &mut command, remedy), port, folder)
    }

    pub(super) fn haproxy(upstream: &str) -> Self {
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let text = format!(
            "defaults\n mode http\n timeout connect 2s\n timeout client 9s\n timeout server 9s\n \
             http-reuse always\nfrontend f\n bind 127.0.0.1:{port}\n \
             http-request set-header X-Forwarded-For %[src]\n default_backend b\n\
             backend b\n server s {upstream}\n"
        );
        let config = written(folder.path(), "haproxy.cfg", &text);
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f", &config]);
        let remedy = "install it with `apt-get install haproxy`, or run tests/all";
        Self::over(Process::start("haproxy", &mut command, remedy), port, folder)
    }

    pub(super) fn apache(upstream: &str) -> Self {
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let at = folder.path().display();
        let mut text = String::new();
        for (name, file) in [
            ("mpm_event", "mpm_event"),
            ("authz_core", "authz_core"),
            ("headers", "headers"),
            ("proxy", "proxy"),
            ("proxy_http", "proxy_http"),
        ] {
            let module = format!("/usr/lib/apache2/modules/mod_{file}.so");
            text.push_str(&format!("LoadModule {name}_module {module}\n"));
        }
        text.push_str(&format!(
            "ServerRoot {at}\nServerName localhost\nPidFile {at}/pid\nDefaultRuntimeDir {at}\n\
             ErrorLog {at}/error.log\nListen 127.0.0.1:{port}\nUser www-data\nGroup www-data\n\
             ThreadsPerChild 32\nMaxRequestWorkers 32\nMaxKeepAliveRequests 0\n\
             ProxyAddHeaders Off\nRequestHeader set X-Forwarded-For expr=%{{REMOTE_ADDR}}\n\
             ProxyPass / http://{upstream}/ max=32\n"
        ));
        let config = written(folder.path(), "apache.conf", &text);
        let mut command = Command::new("apache2");
        // One process, which ends with the test.
        command.args(["-X", "-f", &config]);
        let remedy = "install it with `apt-get install apache2`, or run tests/all";
        Self::over(Process::start("apache2", &mut command, remedy), port, folder)
    }

    fn over(process: Process, port: u16, folder: TempDir) -> Self {
        Self { address: format!("127.0.0.1:{port}"), process, _folder: folder }
    }

    /// Waits until it takes connections.
    pub(super) async fn listens(&self) {
        let began = Instant::now();
        while Line::to(&self.address).await.is_err() {
            assert!(began.elapsed() < START_TIME_MAX, "process {:?}", self.process.pid());
            tokio::task::yield_now().await;
        }
    }
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
