# Files in a directory in which nothing else may be.
class shipper::config {
  File {
    owner => 'root',
    group => 'shipper',
  }

  file { [$shipper::config_dir, "${shipper::config_dir}/inputs.d"]:
    ensure  => directory,
    mode    => '0750',
    purge   => true,
    recurse => true,
    force   => true,
  }

  file { "${shipper::config_dir}/shipper.yml":
    content => epp('shipper/shipper.yml.epp', { outputs => $shipper::outputs }),
    mode    => '0640',
  }

  file { $shipper::defaults_file:
    content => template('shipper/defaults.erb'),
    mode    => '0644',
  }

  create_resources('shipper::input', $shipper::inputs)
}
