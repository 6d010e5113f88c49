# The package, and whom the service runs as.
class shipper::install {
  package { $shipper::package_name:
    ensure => $shipper::ensure,
  }

  group { 'shipper':
    ensure => present,
    system => true,
  }

  -> user { 'shipper':
    ensure => present,
    system => true,
    gid    => 'shipper',
    home   => '/usr/share/shipper',
    shell  => '/usr/sbin/nologin',
  }
}
