# A file that is read.
define shipper::input (
  Array[String] $paths,
  Array[String] $tags = [],
) {
  file { "${shipper::config_dir}/inputs.d/${title}.yml":
    owner   => 'root',
    group   => 'shipper',
    mode    => '0640',
    content => epp('shipper/input.yml.epp', { title => $title, paths => $paths, tags => $tags }),
  }
}
