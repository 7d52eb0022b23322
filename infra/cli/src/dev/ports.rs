//! Ports: looked at before anything is started, so that a taken one is told by name and nothing has to be undone.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use super::DevError;

/// A port of 127.0.0.1, with the flag that chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number; 0 lets the system choose.
    pub number: u16,
    /// The flag.
    pub flag: &'static str,
}

impl Port {
    /// Listens on the port.
    ///
    /// # Errors
    /// [`DevError::PortTaken`] where somebody else does, [`DevError::Listener`] where it cannot be for another reason.
    pub fn listen(self) -> Result<TcpListener, DevError> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, self.number)).map_err(|error| {
            if error.kind() == ErrorKind::AddrInUse {
                DevError::PortTaken { port: self.number, flag: self.flag }
            } else {
                DevError::Listener { port: self.number, error }
            }
        })
    }

    /// Looks whether the port can be listened on, for a program that will do so later.
    ///
    /// # Errors
    /// As [`Port::listen`].
    pub fn check(self) -> Result<(), DevError> {
        self.listen().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_flag_that_chooses_another() {
        let taken = Port { number: 0, flag: "--port" }.listen().unwrap();
        let number = taken.local_addr().unwrap().port();
        let error = Port { number, flag: "--db-port" }.check().unwrap_err().to_string();
        assert!(error.contains(&number.to_string()) && error.contains("--db-port"), "{error}");
    }
}
