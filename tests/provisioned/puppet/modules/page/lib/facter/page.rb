# frozen_string_literal: true

Facter.add(:page_colour) do
  confine kernel: 'Linux'
  setcode { 'blue' }
end

Facter.add(:page_kernel) do
  confine { Facter.value('os.family') == 'Debian' }
  setcode { "#{Facter.value(:kernel)} #{Facter.value(:memorysize)}" }
end
