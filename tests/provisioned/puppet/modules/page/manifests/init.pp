# A page, the user it belongs to, and the services around it.
class page (
  Page::Title $heading,
  Array[String] $flags = [],
) {
  package { 'nginx-light':
    ensure => installed,
  }

  group { 'page':
    ensure => present,
    system => true,
  }

  user { 'page':
    ensure => present,
    system => true,
    gid    => 'page',
    home   => '/srv/page',
    shell  => '/usr/sbin/nologin',
  }

  file { '/srv/page':
    ensure => directory,
    owner  => 'page',
    group  => 'page',
    mode   => '0750',
  }

  file { '/srv/page/index.html':
    content => epp('page/index.html.epp', { 'title' => $heading, 'shout' => page::shout($heading) }),
    owner   => 'page',
    mode    => '0644',
    notify  => Service['nginx'],
  }

  file { '/srv/page/static':
    ensure  => directory,
    recurse => true,
    source  => 'puppet:///modules/page/static',
  }

  file { '/etc/nginx/sites-enabled/default':
    ensure => absent,
    notify => Service['nginx'],
  }

  file { '/etc/systemd/system/page.service':
    content => "[Service]\nType=oneshot\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
  }

  service { 'page':
    ensure  => running,
    enable  => true,
    require => File['/etc/systemd/system/page.service'],
  }

  service { 'nginx':
    ensure => running,
    enable => true,
  }

  $flags.each |String $flag| {
    flag { $flag:
      ensure => present,
    }
  }

  exec { 'count the flags':
    command => 'ls -d /srv/flag-* | wc -l > /srv/flags',
    path    => ['/usr/bin', '/bin'],
    creates => '/srv/flags',
    require => Flag[$flags],
  }
}
