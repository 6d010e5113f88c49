# The unit, which systemd reads again before the service is started.
class shipper::service {
  file { '/etc/systemd/system/shipper.service':
    source => 'puppet:///modules/shipper/shipper.service',
    mode   => '0644',
  }
  ~> exec { 'shipper daemon-reload':
    command     => 'systemctl daemon-reload',
    path        => ['/bin', '/usr/bin'],
    refreshonly => true,
  }
  -> service { 'shipper':
    ensure     => running,
    enable     => true,
    hasrestart => true,
    provider   => systemd,
  }
}
