# frozen_string_literal: true

Puppet::Type.newtype(:flag) do
  @doc = 'An empty file in /srv that means something.'

  ensurable

  newparam(:name, namevar: true)
end
